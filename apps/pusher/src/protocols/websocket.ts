import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import { anonymousGrant } from "@fanwire/tokens";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import { type ConnectionState, newConnectionState } from "../connections/connection.ts";
import type { EndedBy } from "../connections/counters.ts";
import { readSubprotocols } from "../wire/credentials.ts";
import { otherProtocolAt, upgradeProblem } from "../wire/opening-request.ts";
import type { Decided, Undecided } from "./handshake.ts";
import { InboundLimit } from "./inbound-limit.ts";
import { answerRefusal, closeCodeFor, type TurnedAway, turnedAway } from "./refusals.ts";
import type { ServingParts, WebSocketProtocol, WebSocketSessions } from "./served-protocol.ts";
import type { UwsApp } from "./uws-app.ts";

type Socket = WebSocket<ConnectionState>;

const NO_SUBPROTOCOLS = readSubprotocols([]);
/** Id of connections that are not admitted: their handshake is undecided, or they are upgraded only to be closed with a code. */
const NOT_ADMITTED = 0;
const NO_GRANT = anonymousGrant([]);

/** The limits by which uWebSockets.js closes connections itself, by the message of its close handler. */
const endedByMessage: Readonly<Record<string, EndedBy>> = {
  "Received too big message": "inbound-bytes",
  "Received too big message, or other inflation error": "inbound-bytes",
  "WebSocket timed out from inactivity": "idle",
};

/** Opens the route that all WebSocket protocols share. */
export function openWebSocketRoute(
  { app, noCompression }: UwsApp,
  protocols: readonly WebSocketProtocol[],
  parts: ServingParts,
): void {
  const route = new WebSocketRoute(protocols, parts);
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
  readonly #protocols: readonly WebSocketProtocol[];
  readonly #inbound: InboundLimit;
  readonly #sessions: ReadonlyMap<ClientProtocol, WebSocketSessions>;
  /** The handshake of the connection that is being upgraded. uWebSockets.js calls the open handler inside the upgrade. */
  #upgrading: Decided | Undecided | undefined;
  /** Open connections whose handshake is not decided yet. */
  readonly #undecided = new Set<Socket>();

  constructor(protocols: readonly WebSocketProtocol[], parts: ServingParts) {
    this.#parts = parts;
    this.#protocols = protocols;
    const { hub, counters, config, clock } = parts;
    this.#inbound = new InboundLimit({ hub, counters, clock, maxPerSecond: config.limits.inboundPerSecond });
    this.#sessions = new Map(
      protocols.map((protocol) => [protocol, protocol.openSessions(parts, this.#inbound)] as const),
    );
  }

  /**
   * Upgrades connections in the same tick, also those that are then closed with a code, because browsers do not show pages an HTTP
   * status. uWebSockets.js may close by mistake what is upgraded later: after `cork` it reads the WebSocket as the response that it was
   * (fixed upstream by pull request 1929, of July 2026).
   */
  onUpgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const key = request.getHeader("sec-websocket-key");
    const { names, tokens } = subprotocolsOf(request);
    const protocol = this.#selectProtocol(names);
    const refusal = refusalOf(request, key);
    if (refusal !== undefined || protocol === undefined) {
      this.#turnAway(response, refusal ?? turnedAway("upgrade"));
      return;
    }
    const extensions = request.getHeader("sec-websocket-extensions");
    const received = this.#parts.handshakes.receive(request, tokens);
    if (received.outcome === "turned-away") {
      answerRefusal(response, received);
      return;
    }
    const forwardedAddress = this.#parts.addresses.forwarded(request, response);
    const state = newConnectionState({ connectionId: NOT_ADMITTED, protocol, grant: NO_GRANT, forwardedAddress });
    this.#upgrading = received;
    response.upgrade(state, key, protocol.subprotocol ?? "", extensions, context);
    this.#upgrading = undefined;
  }

  #turnAway(response: HttpResponse, refusal: TurnedAway): void {
    this.#parts.counters.refused[refusal.reason]++;
    answerRefusal(response, refusal);
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
    else if (received) this.#settle(socket, received);
  }

  async #decide(socket: Socket, undecided: Undecided): Promise<void> {
    this.#undecided.add(socket);
    this.#sessionsOf(socket)?.wait(socket);
    const decided = await this.#parts.handshakes.decide(undecided);
    // The connection may have closed meanwhile.
    if (this.#undecided.delete(socket)) socket.cork(() => this.#settle(socket, decided));
  }

  #settle(socket: Socket, decided: Decided): void {
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
    const { counters } = this.#parts;
    counters.drops++;
    const state = socket.getUserData();
    // uWebSockets.js closes the connection itself. Until then more may be dropped.
    if (!state.isOverUnsentLimit) counters.ended["unsent-bytes"]++;
    state.isOverUnsentLimit = true;
  }

  onClose(socket: Socket, code: number, message: ArrayBuffer): void {
    this.#undecided.delete(socket);
    this.#sessionsOf(socket)?.close(socket);
    if (socket.getUserData().connectionId === NOT_ADMITTED) return;
    const endedBy = code === 1006 ? endedByMessage[Buffer.from(message).toString("latin1")] : undefined;
    if (endedBy !== undefined) this.#parts.counters.ended[endedBy]++;
    this.#parts.hub.close(socket, code, message);
  }
}

/** Returns why a request is no valid WebSocket handshake. uWebSockets.js checks only the length of the key. */
function refusalOf(request: HttpRequest, key: string): TurnedAway | undefined {
  const otherProtocol = otherProtocolAt(request.getUrl());
  if (otherProtocol !== undefined) return turnedAway("path", `${otherProtocol} is not served here`);
  const problem = upgradeProblem({
    key,
    upgrade: request.getHeader("upgrade"),
    version: request.getHeader("sec-websocket-version"),
  });
  if (problem === undefined) return undefined;
  return turnedAway(problem === "key" ? "handshake" : "upgrade");
}

function subprotocolsOf(request: HttpRequest): ReturnType<typeof readSubprotocols> {
  // Most handshakes have none, and `getHeader` returns only the first line.
  if (request.getHeader("sec-websocket-protocol") === "") return NO_SUBPROTOCOLS;
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === "sec-websocket-protocol") lines.push(value);
  });
  return readSubprotocols(lines);
}
