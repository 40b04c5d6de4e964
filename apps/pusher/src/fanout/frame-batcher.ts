import { type Batching, toFrames } from "../wire/batched-frames.ts";
import { FlushScheduler } from "./flush-scheduler.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";

/** Bytes of a frame that some sockets cannot take as a whole. */
const BURST_BYTES = 16_384;

/** Maximum characters that are batched. */
const MAX_LENGTH = 1_048_576;

/** Writes frames to all members of a group, in order. */
export type FrameWriter = { write(groupId: number, frames: readonly Uint8Array[]): void };

/** Writes to one member after the other. */
export class MemberWriter implements FrameWriter {
  readonly #groups: Pick<SubscriberGroups, "members">;

  constructor(groups: Pick<SubscriberGroups, "members">) {
    this.#groups = groups;
  }

  write(groupId: number, frames: readonly Uint8Array[]): void {
    for (const connection of this.#groups.members(groupId)) {
      for (const frame of frames) if (connection.send(frame, false) === 2) break;
    }
  }
}

/** Writes bursts, which are several frames or a large one, through the buffer that slow consumers share. */
export class BurstWriter implements FrameWriter {
  readonly #plain: FrameWriter;
  readonly #slowConsumers: Pick<SlowConsumerBuffer, "prepareWrite" | "write">;

  constructor(plain: FrameWriter, slowConsumers: Pick<SlowConsumerBuffer, "prepareWrite" | "write">) {
    this.#plain = plain;
    this.#slowConsumers = slowConsumers;
  }

  write(groupId: number, frames: readonly Uint8Array[]): void {
    const isBurst = frames.length > 1 || (frames[0]?.length ?? 0) > BURST_BYTES;
    if (this.#slowConsumers.prepareWrite(groupId, isBurst)) {
      this.#slowConsumers.write(
        groupId,
        frames.map((content) => [{ content, isBinary: false }]),
      );
    } else {
      this.#plain.write(groupId, frames);
    }
  }
}

/**
 * Batches the messages of one event-loop tick for the same group in frames, so that a burst needs a twentieth of the
 * writes. Only neighbours share a frame, so that connections in several groups receive everything in order.
 *
 * A short read from NATS is usually the last of its tick, so it is flushed in a microtask. If it waited for the end of
 * the tick, a client's message might flush it. uWebSockets.js allocates a buffer for each socket that is written to
 * inside the handler of another socket, and never frees it.
 */
export class FrameBatcher {
  readonly #writer: FrameWriter;
  readonly #batching: Batching;
  readonly #scheduler = new FlushScheduler(() => this.flush());
  #groupId = 0;
  #messages: string[] = [];
  #length = 0;
  #isReading = false;
  readonly #endRead = () => {
    this.#isReading = false;
    if (this.#length < BURST_BYTES) this.flush();
  };

  constructor(writer: FrameWriter, batching: Batching) {
    this.#writer = writer;
    this.#batching = batching;
  }

  push(groupId: number, message: string): void {
    if (this.#groupId !== groupId || this.#length >= MAX_LENGTH) this.flush();
    if (this.#messages.length === 0) {
      this.#groupId = groupId;
      this.#scheduler.schedule();
      if (!this.#isReading) queueMicrotask(this.#endRead);
      this.#isReading = true;
    }
    this.#messages.push(message);
    this.#length += message.length;
  }

  /**
   * Writes what is pending. Must be called before anything else is written, and before a connection enters or leaves a
   * group.
   */
  flush(): void {
    if (this.#messages.length === 0) return;
    const frames = toFrames(this.#messages, this.#batching);
    this.#messages = [];
    this.#length = 0;
    this.#writer.write(this.#groupId, frames);
  }
}
