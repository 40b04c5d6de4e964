import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import { anonymousGrant } from "@fanwire/tokens";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { type ConnectionState, newConnectionState } from "../connections/connection.ts";
import { readSubprotocols } from "../wire/credentials.ts";
import { pathProblem } from "../wire/opening-request.ts";
import { bytesOf, type Decided, type HandshakeRequest, readHandshakeRequest, type Undecided } from "./handshake.ts";
import { InboundLimit } from "./inbound-limit.ts";
import { answerRefusal, closeCodeFor, type TurnedAway, turnedAway } from "./refusals.ts";
import type { RequestPace } from "./request-pace.ts";
import type { ServingParts, WebSocketProtocol, WebSocketSessions } from "./served-protocol.ts";
import { noteClosed, noteDropped } from "./socket-limits.ts";
import { headerLines, upgradeRefusal } from "./upgrade-request.ts";
import type { UwsApp } from "./uws-app.ts";

type Socket = WebSocket<ConnectionState>;

/** A request that is to be upgraded. */
type Upgrade = {
  readonly response: HttpResponse;
  readonly context: us_socket_context_t;
  readonly protocol: WebSocketProtocol;
  readonly origin: string;
  readonly sent: HandshakeRequest;
  readonly key: string;
  readonly extensions: string;
  readonly forwardedAddress: string | undefined;
};

const NO_SUBPROTOCOLS = readSubprotocols([]);
/**
 * Id of connections that are not admitted: their handshake is undecided, or they are upgraded only to be closed with a
 * code.
 */
const NOT_ADMITTED = 0;
const NO_GRANT = anonymousGrant([]);

/** Opens the route that all WebSocket protocols share. */
export function openWebSocketRoute(
  { app, pace, noCompression }: UwsApp,
  protocols: readonly WebSocketProtocol[],
  parts: ServingParts,
): void {
  const route = new WebSocketRoute(protocols, parts, pace);
  const { limits, idleSeconds } = parts.config;
  app.ws("/*", {
    compression: noCompression,
    maxPayloadLength: limits.inboundBytes,
    maxBackpressure: limits.unsentBytes,
    closeOnBackpressureLimit: 1,
    idleTimeout: idleSeconds,
    sendPingsAutomatically: true,
    upgrade: (response, request, context) => route.onUpgrade(response, request, context),
    open: (socket) => route.onOpen(socket),
    message: (socket, message, isBinary) => route.onMessage(socket, message, isBinary),
    drain: (socket) => parts.hub.drained(socket),
    ping: (socket) => route.onPing(socket),
    dropped: (socket) => route.onDropped(socket),
    close: (socket, code, message) => route.onClose(socket, code, message),
  });
}

class WebSocketRoute {
  readonly #parts: ServingParts;
  readonly #pace: RequestPace;
  readonly #protocols: readonly WebSocketProtocol[];
  readonly #inbound: InboundLimit;
  readonly #sessions: ReadonlyMap<ClientProtocol, WebSocketSessions>;
  /**
   * The handshake of the connection that is being upgraded. uWebSockets.js calls the open handler inside the upgrade.
   */
  #upgrading: Decided | Undecided | undefined;
  /** Open connections whose handshake is not decided yet. */
  readonly #undecided = new Set<Socket>();

  constructor(protocols: readonly WebSocketProtocol[], parts: ServingParts, pace: RequestPace) {
    this.#parts = parts;
    this.#pace = pace;
    this.#protocols = protocols;
    const { hub, counters, config, clock } = parts;
    this.#inbound = new InboundLimit({ hub, counters, clock, maxPerSecond: config.limits.inboundPerSecond });
    this.#sessions = new Map(
      protocols.map((protocol) => [protocol, protocol.openSessions(parts, this.#inbound)] as const),
    );
  }

  onUpgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const key = request.getHeader("sec-websocket-key");
    const { names, tokens: offered } = subprotocolsOf(request);
    const protocol = this.#selectProtocol(names);
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined || protocol === undefined) {
      this.#turnAway(response, refusal ?? turnedAway("upgrade"));
      return;
    }
    const sent = readHandshakeRequest(request, offered);
    const origin = request.getHeader("origin");
    const extensions = request.getHeader("sec-websocket-extensions");
    const forwardedAddress = this.#parts.addresses.forwarded(request, response);
    const textBytes = bytesOf(sent) + key.length + origin.length + extensions.length;
    this.#pace.upgrade(response, request.getHeader("connection"), textBytes, () =>
      this.#upgrade({ response, context, protocol, origin, sent, key, extensions, forwardedAddress }),
    );
  }

  /** Upgrades also connections that are then closed with a code, because browsers do not show pages an HTTP status. */
  #upgrade({ response, context, protocol, origin, sent, key, extensions, forwardedAddress }: Upgrade): void {
    const received = this.#parts.handshakes.receiveRequest(origin, sent);
    if (received.outcome === "turned-away") {
      answerRefusal(response, received);
      return;
    }
    const state = newConnectionState({ connectionId: NOT_ADMITTED, protocol, grant: NO_GRANT, forwardedAddress });
    this.#upgrading = received;
    response.upgrade(state, key, protocol.subprotocol ?? "", extensions, context);
    this.#upgrading = undefined;
  }

  /** Returns why a request is refused before its query is read. */
  #refusalOf(request: HttpRequest): TurnedAway | undefined {
    const problem = pathProblem(request.getUrl(), this.#parts.config.pusherApps.all.length > 0);
    return problem === undefined ? upgradeRefusal(request) : turnedAway("path", problem);
  }

  #turnAway(response: HttpResponse, refusal: TurnedAway): void {
    this.#parts.counters.refused[refusal.reason]++;
    this.#pace.answer(response, 0, () => answerRefusal(response, refusal));
  }

  /** Returns the first protocol that the client offers, or the one without a subprotocol. */
  #selectProtocol(offered: readonly string[]): WebSocketProtocol | undefined {
    let plain: WebSocketProtocol | undefined;
    for (const protocol of this.#protocols) {
      if (protocol.subprotocol === undefined) plain = protocol;
      else if (offered.includes(protocol.subprotocol)) return protocol;
    }
    return plain;
  }

  onOpen(socket: Socket): void {
    const received = this.#upgrading;
    if (received?.outcome === "undecided") void this.#decide(socket, received);
    else if (received) this.#applyDecision(socket, received);
  }

  async #decide(socket: Socket, undecided: Undecided): Promise<void> {
    this.#undecided.add(socket);
    this.#sessionsOf(socket)?.wait(socket);
    const decided = await this.#parts.handshakes.decide(undecided);
    // The connection may have closed meanwhile.
    if (this.#undecided.delete(socket)) socket.cork(() => this.#applyDecision(socket, decided));
  }

  #applyDecision(socket: Socket, decided: Decided): void {
    if (decided.outcome === "refused") {
      const { code, reason } = closeCodeFor(decided);
      socket.end(code, reason);
      return;
    }
    const state = socket.getUserData();
    state.connectionId = this.#parts.hub.nextConnectionId();
    state.grant = decided.grant;
    this.#sessionsOf(socket)?.start(socket, decided.query);
  }

  #sessionsOf(socket: Socket): WebSocketSessions | undefined {
    return this.#sessions.get(socket.getUserData().protocol);
  }

  onMessage(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    this.#sessionsOf(socket)?.receive(socket, message, isBinary);
  }

  onPing(socket: Socket): void {
    this.#inbound.count(socket);
  }

  onDropped(socket: Socket): void {
    noteDropped(socket, this.#parts.counters);
  }

  onClose(socket: Socket, code: number, message: ArrayBuffer): void {
    this.#undecided.delete(socket);
    this.#sessionsOf(socket)?.close(socket);
    if (socket.getUserData().connectionId === NOT_ADMITTED) return;
    noteClosed(code, message, this.#parts.counters);
    this.#parts.hub.close(socket, code, message);
  }
}

function subprotocolsOf(request: HttpRequest): ReturnType<typeof readSubprotocols> {
  // Most handshakes have none.
  if (request.getHeader("sec-websocket-protocol") === "") return NO_SUBPROTOCOLS;
  return readSubprotocols(headerLines(request, "sec-websocket-protocol"));
}
