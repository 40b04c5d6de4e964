import type { WebSocket } from "uWebSockets.js";
import { closeCodes } from "@fanwire/protocol";
import type { ConnectionState } from "../connections/connection.ts";
import { startSession, welcomeOf } from "../recovery/start-session.ts";
import { encodeWelcome } from "../wire/fanwire-messages.ts";
import type { HandshakeQuery } from "../wire/handshake-query.ts";
import { Commands } from "./fanwire-commands.ts";
import { HeldCommands } from "./held-commands.ts";
import type { InboundLimit } from "./inbound-limit.ts";
import type { ServingParts, WebSocketSessions } from "./served-protocol.ts";

type Socket = WebSocket<ConnectionState>;

const NO_COMMAND = [""];
const BYTE_ORDER_MARK = "\uFEFF";

/** Welcomes the connections of fanwire.v1, and executes their commands in order. */
export class FanwireSessions implements WebSocketSessions {
  readonly #parts: ServingParts;
  readonly #inbound: InboundLimit;
  readonly #commands: Commands;
  /** Commands of connections that are not welcomed yet, or whose new token is being verified. */
  readonly #held = new Map<Socket, HeldCommands>();

  constructor(parts: ServingParts, inbound: InboundLimit) {
    this.#parts = parts;
    this.#inbound = inbound;
    this.#commands = new Commands(parts);
  }

  wait(socket: Socket): void {
    this.#held.set(socket, this.#holdCommands());
  }

  start(socket: Socket, query: HandshakeQuery): void {
    const { hub } = this.#parts;
    if (!this.#held.has(socket)) this.wait(socket);
    startSession(this.#parts, socket, query, (outcome) => {
      socket.send(encodeWelcome(welcomeOf(hub, socket, outcome)), false);
      // When this tick ends, the subscriptions of the connection are live.
      queueMicrotask(() => this.#release(socket));
    });
  }

  receive(socket: Socket, message: ArrayBuffer, isBinary: boolean): void {
    if (isBinary) {
      this.#parts.hub.end(socket, closeCodes.malformedMessage);
      return;
    }
    const lines = linesOf(message);
    // Counted at arrival, because held commands are executed in another second. A frame without commands counts as one.
    if (!(lines.length === 0 ? NO_COMMAND : lines).every(() => this.#inbound.count(socket))) return;
    const held = this.#held.get(socket);
    if (held === undefined) this.#executeSoon(socket, lines);
    else if (held.add(lines, message.byteLength)) return;
    else if (held.mayRunNow) {
      // Behind the others, because these may close the connection, or may have to wait for a token.
      held.addBeyondMaximum(lines, message.byteLength);
      this.#release(socket);
    } else this.#inbound.close(socket, held.closeCode);
  }

  /** Thousands of clients may send commands that are read in one tick, for example when they have reconnected. */
  #executeSoon(socket: Socket, lines: readonly string[]): void {
    const { slices } = this.#parts;
    const held = this.#holdCommands(lines);
    if (slices.mayWorkNow()) {
      this.#execute(socket, held);
      return;
    }
    held.mayRunNow = true;
    this.#held.set(socket, held);
    void slices.turn().then(() => {
      if (this.#held.get(socket) === held && held.mayRunNow) this.#release(socket);
    });
  }

  close(socket: Socket): void {
    this.#held.delete(socket);
  }

  #holdCommands(lines: readonly string[] = []): HeldCommands {
    return new HeldCommands(lines, this.#parts.config.limits.inboundBytes);
  }

  #release(socket: Socket): void {
    const held = this.#held.get(socket);
    this.#held.delete(socket);
    if (held !== undefined) this.#execute(socket, held);
  }

  #execute(socket: Socket, held: HeldCommands): void {
    for (let line = held.take(); line !== undefined; line = held.take()) {
      const outcome = this.#commands.receive(socket, line);
      if (outcome === "ended") return;
      if (outcome === "done") continue;
      // A client that sends at its usual rate while the key set is slow may reconnect.
      held.closeCode = closeCodes.tokenUnchecked;
      held.mayRunNow = false;
      this.#held.set(socket, held);
      void outcome.then(() => this.#release(socket));
      return;
    }
  }
}

/** Returns the commands of a frame. Lines of white space hold none: some tools end each frame with a line feed. */
function linesOf(message: ArrayBuffer): string[] {
  const text = Buffer.from(message).toString();
  // Some tools begin their first frame with it.
  const commands = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  return commands.split("\n").filter((line) => /[^ \t\r]/.test(line));
}
