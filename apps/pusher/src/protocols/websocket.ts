import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import { anonymousGrant } from "../auth/grant.ts";
import type { PusherConfig } from "../config.ts";
import { type ConnectionState, newConnectionState } from "../connections/connection.ts";
import type { Counters, EndedBy } from "../connections/counters.ts";
import { countInbound } from "../connections/inbound-rate.ts";
import type { Hub } from "../hub/hub.ts";
import type { Recovery } from "../recovery/recovery.ts";
import { startSession, welcomeOf } from "../recovery/start-session.ts";
import { FANWIRE_SUBPROTOCOL, readSubprotocols, type Subprotocols } from "../wire/credentials.ts";
import { encodeWelcome } from "../wire/encoding.ts";
import { Greeting } from "../wire/greeting.ts";
import { otherProtocolAt, upgradeProblem } from "../wire/opening-request.ts";
import type { Commands } from "./fanwire-commands.ts";
import type { Decided, Handshakes, Unverified } from "./handshake.ts";
import { HeldCommands } from "./held-commands.ts";
import { answerRefusal, closeCodeFor, type TurnedAway, turnedAway } from "./refusals.ts";
import type { UwsApp } from "./uws-app.ts";

type Socket = WebSocket<ConnectionState>;

const NO_SUBPROTOCOLS = readSubprotocols([]);
const BINARY = true;
const NO_COMMAND = [""];
/** Of who has not been let in: its token is being checked, or it was upgraded only to be told why not. */
const NOBODY = 0;
const NO_GRANT = anonymousGrant([]);

/** What uWebSockets.js says to the close handler when one of its own limits ended the connection. */
const endedByMessage: Readonly<Record<string, EndedBy>> = {
  "Received too big message": "inbound-bytes",
  "Received too big message, or other inflation error": "inbound-bytes",
  "WebSocket timed out from inactivity": "idle",
};

type ProtocolParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly hub: Hub;
  readonly handshakes: Handshakes;
  readonly recovery: Recovery;
  readonly commands: Commands;
  readonly counters: Counters;
};

/** The WebSocket protocols: raw, and fanwire.v1 for who asks for that subprotocol. */
export function openWebSocketProtocols({ app, noCompression }: UwsApp, parts: ProtocolParts): void {
  const protocol = new WebSocketProtocols(parts);
  const { limits, idleSeconds } = parts.config;
  app.ws<ConnectionState>("/*", {
    compression: noCompression,
    maxPayloadLength: limits.inboundBytes,
    maxBackpressure: limits.unsentBytes,
    closeOnBackpressureLimit: 1,
    idleTimeout: idleSeconds,
    sendPingsAutomatically: true,
    upgrade: (response, request, context) => protocol.onUpgrade(response, request, context),
    open: (socket) => protocol.onOpen(socket),
    message: (socket, message, isBinary) => protocol.onMessage(socket, message, isBinary),
    drain: (socket) => parts.hub.drained(socket),
    ping: (socket) => protocol.onPing(socket),
    dropped: (socket) => protocol.onDropped(socket),
    close: (socket, code, message) => protocol.onClose(socket, code, message),
  });
}

class WebSocketProtocols {
  readonly #parts: ProtocolParts;
  readonly #greeting: Greeting;
  /** Who is being upgraded: the open handler runs inside the upgrade. */
  #arriving: Decided | Unverified | undefined;
  /** Connections that are not welcomed yet or whose refreshed token is being checked, and the commands they sent meanwhile. */
  readonly #waiting = new Map<Socket, HeldCommands>();

  constructor(parts: ProtocolParts) {
    this.#parts = parts;
    this.#greeting = new Greeting(parts.config.greeting, parts.workerId);
  }

  /**
   * Everybody who is not refused at the protocol is upgraded in this turn, also who is then told by a close code why it may not
   * come in: a browser shows the page no HTTP status. And what uWebSockets.js upgrades later it may close by mistake: after
   * `cork` it reads the WebSocket as the response that it was (fixed upstream by pull request 1929, of July 2026).
   */
  onUpgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const key = request.getHeader("sec-websocket-key");
    const refusal = this.#refusalOf(request, key);
    if (refusal !== undefined) {
      this.#parts.counters.refused[refusal.reason]++;
      answerRefusal(response, refusal);
      return;
    }
    const extensions = request.getHeader("sec-websocket-extensions");
    const { isFanwire, tokens } = subprotocolsOf(request);
    const arriving = this.#parts.handshakes.receive(request, tokens);
    if (arriving.outcome === "turned-away") {
      answerRefusal(response, arriving);
      return;
    }
    const state = newConnectionState({
      connectionId: NOBODY,
      protocol: isFanwire ? "fanwire.v1" : "raw",
      grant: NO_GRANT,
    });
    this.#arriving = arriving;
    response.upgrade(state, key, isFanwire ? FANWIRE_SUBPROTOCOL : "", extensions, context);
    this.#arriving = undefined;
  }

  /** Why this is no handshake for a WebSocket of ours; uWebSockets.js looks at the key's length alone. */
  #refusalOf(request: HttpRequest, key: string): TurnedAway | undefined {
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

  onOpen(socket: Socket): void {
    const arriving = this.#arriving;
    if (arriving?.outcome === "unverified") void this.#settleLater(socket, arriving);
    else if (arriving) this.#settle(socket, arriving);
  }

  async #settleLater(socket: Socket, unverified: Unverified): Promise<void> {
    this.#waiting.set(socket, this.#heldCommands());
    const decided = await this.#parts.handshakes.verify(unverified);
    // It may have gone meanwhile.
    if (this.#waiting.has(socket)) socket.cork(() => this.#settle(socket, decided));
  }

  #settle(socket: Socket, decided: Decided): void {
    if (decided.outcome === "refused") {
      const { code, reason } = closeCodeFor(decided);
      socket.end(code, reason);
      return;
    }
    const { config, hub } = this.#parts;
    const { grant, query } = decided;
    const state = socket.getUserData();
    const connectionId = hub.nextConnectionId();
    state.connectionId = connectionId;
    state.grant = grant;
    if (state.protocol === "fanwire.v1") {
      if (!this.#waiting.has(socket)) this.#waiting.set(socket, this.#heldCommands());
      startSession(this.#parts, socket, query, (outcome) => {
        socket.send(encodeWelcome(welcomeOf(hub, socket, outcome)), !BINARY);
        // Once it is in, which it is at the end of this turn.
        queueMicrotask(() => this.#release(socket));
      });
      return;
    }
    this.#waiting.delete(socket);
    // The raw protocol has nowhere to put positions, so nobody can come back with one.
    startSession(this.#parts, socket, query.since === undefined ? query : { ...query, since: undefined }, () => {
      if (config.greeting !== "") socket.send(this.#greeting.for(connectionId), !BINARY);
    });
  }

  onMessage(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    if (socket.getUserData().protocol === "raw") {
      this.#count(socket);
      return;
    }
    if (isBinary) {
      this.#parts.hub.end(socket, closeCodes.malformedMessage);
      return;
    }
    const lines = linesOf(message);
    // Commands count when they come: those held are not of the second in which they are carried out. So does a frame without any.
    if (!(lines.length === 0 ? NO_COMMAND : lines).every(() => this.#count(socket))) return;
    const held = this.#waiting.get(socket);
    if (held === undefined) this.#carryOut(socket, this.#heldCommands(lines));
    else if (!held.add(lines, message.byteLength)) this.#endTooMuch(socket, held.closeCode);
  }

  #heldCommands(lines: readonly string[] = []): HeldCommands {
    return new HeldCommands(lines, this.#parts.config.limits.inboundBytes);
  }

  #release(socket: Socket): void {
    const held = this.#waiting.get(socket);
    this.#waiting.delete(socket);
    if (held !== undefined) this.#carryOut(socket, held);
  }

  #carryOut(socket: Socket, held: HeldCommands): void {
    for (let line = held.take(); line !== undefined; line = held.take()) {
      const outcome = this.#parts.commands.receive(socket, line);
      if (outcome === "ended") return;
      if (outcome === "done") continue;
      // A client that sends as usual while the key set is slow may come back.
      held.closeCode = closeCodes.tokenUnchecked;
      this.#waiting.set(socket, held);
      void outcome.then(() => this.#release(socket));
      return;
    }
  }

  onPing(socket: Socket): void {
    this.#count(socket);
  }

  onDropped(socket: Socket): void {
    const { counters } = this.#parts;
    counters.drops++;
    const state = socket.getUserData();
    // uWebSockets.js ends the connection itself; until then more may be dropped.
    if (!state.isOverUnsentLimit) counters.ended["unsent-bytes"]++;
    state.isOverUnsentLimit = true;
  }

  onClose(socket: Socket, code: number, message: ArrayBuffer): void {
    this.#waiting.delete(socket);
    if (socket.getUserData().connectionId === NOBODY) return;
    const endedBy = code === 1006 ? endedByMessage[Buffer.from(message).toString("latin1")] : undefined;
    if (endedBy !== undefined) this.#parts.counters.ended[endedBy]++;
    this.#parts.hub.close(socket, code);
  }

  /** Counts something the client sent. False: that was too much, the connection is closed. */
  #count(socket: Socket): boolean {
    const { counters, config } = this.#parts;
    counters.inboundMessages++;
    const nowSecond = Math.floor(performance.now() / 1_000);
    if (countInbound(socket.getUserData(), nowSecond, config.limits.inboundPerSecond)) return true;
    this.#endTooMuch(socket);
    return false;
  }

  #endTooMuch(socket: Socket, closeCode: CloseCode = closeCodes.inboundRate): void {
    this.#parts.counters.ended[closeCode.code === closeCodes.inboundRate.code ? "inbound-rate" : "inbound-bytes"]++;
    this.#parts.hub.end(socket, closeCode);
  }
}

/** Tools that send what is typed end it with a line feed: lines of white space hold no command. */
function linesOf(message: ArrayBuffer): string[] {
  return Buffer.from(message)
    .toString()
    .split("\n")
    .filter((line) => /[^ \t\r]/.test(line));
}

function subprotocolsOf(request: HttpRequest): Subprotocols {
  // The first line alone; most handshakes have none.
  if (request.getHeader("sec-websocket-protocol") === "") return NO_SUBPROTOCOLS;
  const lines: string[] = [];
  request.forEach((name, value) => {
    if (name === "sec-websocket-protocol") lines.push(value);
  });
  return readSubprotocols(lines);
}
