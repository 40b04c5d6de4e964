import { type Joining, joinToFrames } from "../wire/join-frames.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import { TickEnd } from "./tick-end.ts";

/**
 * The messages of fanwire.v1 that share a frame. From 16 KiB on uWebSockets.js copies only what the socket does not take, but keeps the
 * memory of that copy until the connection closes: so much it may be.
 */
export const fanwireJoining: Joining = { separator: "\n", maxBytes: 32_768 };
/** The events that share a write: of a response uWebSockets.js copies only what does not go out, too. */
export const sseJoining: Joining = { separator: "", maxBytes: 65_536 };

/** A frame that is larger may be more than some sockets take. */
const BURST_BYTES = 16_384;

/** No more is gathered than about so many characters. */
const MAX_LENGTH = 1_048_576;

/** Writes frames to all in a group, one after the other. */
export type FrameWriter = { write(group: string, frames: readonly Uint8Array[]): void };

/** Frames of fanwire.v1: what is more than one, or large, is a burst. */
export class WebSocketFrames implements FrameWriter {
  readonly #groups: FrameWriter;
  readonly #bursts: Pick<SlowConsumerBuffer, "takes" | "write">;

  constructor(groups: FrameWriter, bursts: Pick<SlowConsumerBuffer, "takes" | "write">) {
    this.#groups = groups;
    this.#bursts = bursts;
  }

  write(group: string, frames: readonly Uint8Array[]): void {
    const isBurst = frames.length > 1 || (frames[0]?.length ?? 0) > BURST_BYTES;
    if (this.#bursts.takes(group, isBurst)) {
      this.#bursts.write(
        group,
        frames.map((content) => [{ content, isBinary: false }]),
      );
    } else {
      this.#groups.write(group, frames);
    }
  }
}

/**
 * Joins the messages that one turn of the loop brings for the same group to frames: in a burst a socket is written to
 * twenty times less. Only neighbours are joined, so that a connection in several groups hears everything in the order in
 * which it came.
 *
 * A read from NATS that brings little is the last of its turn, and what it brought is written when it is over. It would wait for
 * nothing, and a client's message could find it waiting: to whom is written inside the handler of another WebSocket, uWebSockets.js
 * gives a buffer of its own, for good.
 */
export class FrameBatcher {
  readonly #writer: FrameWriter;
  readonly #joining: Joining;
  readonly #turnEnd = new TickEnd(() => this.flush());
  #group = "";
  #messages: string[] = [];
  #length = 0;
  #isReading = false;
  readonly #endRead = () => {
    this.#isReading = false;
    if (this.#length < BURST_BYTES) this.flush();
  };

  constructor(writer: FrameWriter, joining: Joining) {
    this.#writer = writer;
    this.#joining = joining;
  }

  publish(group: string, message: string): void {
    if (this.#group !== group || this.#length >= MAX_LENGTH) this.flush();
    if (this.#messages.length === 0) {
      this.#group = group;
      this.#turnEnd.ask();
      if (!this.#isReading) queueMicrotask(this.#endRead);
      this.#isReading = true;
    }
    this.#messages.push(message);
    this.#length += message.length;
  }

  /** Writes what is pending. To be called before anything else is written, and before anybody joins or leaves a group. */
  flush(): void {
    if (this.#messages.length === 0) return;
    const frames = joinToFrames(this.#messages, this.#joining);
    this.#messages = [];
    this.#length = 0;
    this.#writer.write(this.#group, frames);
  }
}
