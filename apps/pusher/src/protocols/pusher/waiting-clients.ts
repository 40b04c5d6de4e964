import type { TimeSlices } from "../../pacing/time-slices.ts";
import { HeldCommands } from "../held-commands.ts";
import type { PusherSocket } from "./session.ts";

type Slices = Pick<TimeSlices, "mayWorkNow" | "turn">;

/** Open connections whose sessions start in a later tick, because thousands of clients have connected in one. */
export class WaitingClients {
  readonly #slices: Slices;
  /** Maximum bytes that one client may send meanwhile. */
  readonly #maxBytes: number;
  readonly #frames = new Map<PusherSocket, HeldCommands>();

  constructor(slices: Slices, maxBytes: number) {
    this.#slices = slices;
    this.#maxBytes = maxBytes;
  }

  /**
   * Calls `start` now or in a later tick, unless the connection has closed by then. It gets the frames of the client.
   */
  add(socket: PusherSocket, start: (frames: HeldCommands | undefined) => void): void {
    if (this.#slices.mayWorkNow()) {
      start(undefined);
      return;
    }
    this.#frames.set(socket, new HeldCommands([], this.#maxBytes));
    void this.#slices.turn().then(() => {
      const frames = this.#frames.get(socket);
      if (this.#frames.delete(socket)) socket.cork(() => start(frames));
    });
  }

  /** Returns the frames of a client that waits. Others may be added to them. */
  framesOf(socket: PusherSocket): HeldCommands | undefined {
    return this.#frames.get(socket);
  }

  /** Must be called when a connection has closed. */
  forget(socket: PusherSocket): void {
    this.#frames.delete(socket);
  }
}
