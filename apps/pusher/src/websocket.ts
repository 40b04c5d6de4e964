import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import { type CloseCode, closeCodes } from "@fanwire/protocol";
import type { Commands } from "./client-commands.ts";
import type { PusherConfig } from "./config.ts";
import { type ConnectionState, newConnectionState } from "./connection.ts";
import { anonymousGrant } from "./core/claims.ts";
import { encodeWelcome } from "./core/encoding.ts";
import { greeting } from "./core/greeting.ts";
import type { HandshakeQuery } from "./core/handshake.ts";
import { countInbound } from "./core/inbound-rate.ts";
import type { Edge } from "./edge.ts";
import type { EdgeApp } from "./edge-app.ts";
import type { Greeter } from "./greeter.ts";
import type { Handshakes, Newcomer } from "./handshake.ts";
import type { EndedBy, Traffic } from "./traffic.ts";

type Socket = WebSocket<ConnectionState>;

const SUBPROTOCOL = "fanwire.v1";
const BINARY = true;
const NO_QUERY: HandshakeQuery = { topics: [], token: undefined, since: undefined };
/** Of nobody: upgraded only to be closed, never opened. */
const REFUSED_ID = 0;

/** What uWebSockets.js says to the close handler when one of its own limits ended the connection. */
const endedByMessage: Readonly<Record<string, EndedBy>> = {
  "Received too big message": "inbound-bytes",
  "Received too big message, or other inflation error": "inbound-bytes",
  "WebSocket timed out from inactivity": "idle",
};

type DoorParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly edge: Edge;
  readonly handshakes: Handshakes;
  readonly greeter: Greeter;
  readonly commands: Commands;
  readonly traffic: Traffic;
};

/** The WebSocket doors: raw, and fanwire.v1 for who asks for that subprotocol. */
export function openWebSocketDoor({ app, noCompression }: EdgeApp, parts: DoorParts): void {
  const door = new WebSocketDoor(parts);
  const { limits, idleSeconds } = parts.config;
  app.ws<ConnectionState>("/*", {
    compression: noCompression,
    maxPayloadLength: limits.inboundBytes,
    maxBackpressure: limits.unsentBytes,
    closeOnBackpressureLimit: 1,
    idleTimeout: idleSeconds,
    sendPingsAutomatically: true,
    upgrade: (response, request, context) => door.onUpgrade(response, request, context),
    open: (socket) => door.onOpen(socket),
    message: (socket, message, isBinary) => door.onMessage(socket, message, isBinary),
    ping: (socket) => door.onPing(socket),
    dropped: (socket) => door.onDropped(socket),
    close: (socket, code, message) => door.onClose(socket, code, message),
  });
}

class WebSocketDoor {
  readonly #parts: DoorParts;
  /** Who is being upgraded: the open handler runs inside the upgrade. */
  #newcomer: Newcomer | undefined;
  /** Likewise for who is upgraded only to be told why it may not come in. */
  #refusal: CloseCode | undefined;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  onUpgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const { edge, handshakes } = this.#parts;
    const key = request.getHeader("sec-websocket-key");
    const extensions = request.getHeader("sec-websocket-extensions");
    const isFanwire = request
      .getHeader("sec-websocket-protocol")
      .split(",")
      .some((name) => name.trim() === SUBPROTOCOL);

    const upgrade = (state: ConnectionState) =>
      response.upgrade(state, key, isFanwire ? SUBPROTOCOL : "", extensions, context);

    const admit = (newcomer: Newcomer) => {
      this.#newcomer = newcomer;
      upgrade(
        newConnectionState({
          connectionId: edge.nextConnectionId(),
          door: isFanwire ? "fanwire.v1" : "raw",
          grant: newcomer.grant,
        }),
      );
      this.#newcomer = undefined;
    };
    const refuse = (closeCode: CloseCode) => {
      this.#refusal = closeCode;
      upgrade(newConnectionState({ connectionId: REFUSED_ID, door: "fanwire.v1", grant: anonymousGrant([]) }));
      this.#refusal = undefined;
    };
    handshakes.receive(response, request, { admit, refuse: isFanwire ? refuse : undefined });
  }

  onOpen(socket: Socket): void {
    if (this.#refusal) {
      socket.end(this.#refusal.code, this.#refusal.reason);
      return;
    }
    const { greeter, config, workerId } = this.#parts;
    const { connectionId, door } = socket.getUserData();
    const query = this.#newcomer?.query ?? NO_QUERY;
    if (door === "fanwire.v1") {
      greeter.open(socket, query, (welcome) => socket.send(encodeWelcome(welcome), !BINARY));
      return;
    }
    // The raw door has nowhere to put positions, so nobody can come back with one.
    greeter.open(socket, { ...query, since: undefined }, () => {
      if (config.greeting !== "") socket.send(greeting(config.greeting, workerId, connectionId), !BINARY);
    });
  }

  onMessage(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    if (socket.getUserData().door === "raw") {
      this.#count(socket);
      return;
    }
    if (isBinary) {
      this.#parts.edge.end(socket, closeCodes.malformedMessage);
      return;
    }
    for (const line of Buffer.from(message).toString().split("\n")) {
      // Each message of a frame counts. One of them may have ended the connection.
      if (!this.#count(socket) || !this.#parts.commands.receive(socket, line)) return;
    }
  }

  onPing(socket: Socket): void {
    this.#count(socket);
  }

  onDropped(socket: Socket): void {
    const { traffic } = this.#parts;
    traffic.drops++;
    const state = socket.getUserData();
    // uWebSockets.js ends the connection itself; until then more may be dropped.
    if (!state.isOverUnsentLimit) traffic.ended["unsent-bytes"]++;
    state.isOverUnsentLimit = true;
  }

  onClose(socket: Socket, code: number, message: ArrayBuffer): void {
    if (socket.getUserData().connectionId === REFUSED_ID) return;
    const endedBy = code === 1006 ? endedByMessage[Buffer.from(message).toString("latin1")] : undefined;
    if (endedBy !== undefined) this.#parts.traffic.ended[endedBy]++;
    this.#parts.edge.close(socket, code);
  }

  /** Counts something the client sent. False: that was too much, the connection is closed. */
  #count(socket: Socket): boolean {
    const { traffic, config, edge } = this.#parts;
    traffic.inboundMessages++;
    const nowSecond = Math.floor(performance.now() / 1_000);
    if (countInbound(socket.getUserData(), nowSecond, config.limits.inboundPerSecond)) return true;
    traffic.ended["inbound-rate"]++;
    edge.end(socket, closeCodes.inboundRate);
    return false;
  }
}
