import { isUtf8 } from "node:buffer";
import { toWriteBatches, WRITE_BATCH_BYTES, type WriteBatch } from "./corked-write.ts";
import { FlushScheduler } from "./flush-scheduler.ts";
import type { SlowConsumerBuffer } from "./slow-consumers.ts";
import type { SubscriberGroups } from "./subscriber-groups.ts";

/**
 * Publications of one tick from which on they are a burst. A topic of uWebSockets.js writes 32 frames at a time to each
 * socket.
 */
const BURST = 64;
/** Bytes of one tick from which on they are a burst. */
const BURST_BYTES = WRITE_BATCH_BYTES;
const MAX_BYTES = 1_048_576;

/**
 * Batches the publications of one event-loop tick for the same group, where each publication is a frame. Few of them
 * are left to the group. A burst is written socket by socket, because that takes a fraction of the system calls.
 */
export class SingleFrameBatcher {
  readonly #groups: Pick<SubscriberGroups, "publish">;
  readonly #slowConsumers: Pick<SlowConsumerBuffer, "prepareWrite" | "write">;
  readonly #scheduler = new FlushScheduler(() => {
    this.flush();
    this.#isGroupPending = false;
  });
  /** Whether a group was published to in this tick. uWebSockets.js may not have written that yet. */
  #isGroupPending = false;
  #groupId = 0;
  #bytes = 0;
  #pending: Uint8Array[] = [];

  constructor(
    groups: Pick<SubscriberGroups, "publish">,
    slowConsumers: Pick<SlowConsumerBuffer, "prepareWrite" | "write">,
  ) {
    this.#groups = groups;
    this.#slowConsumers = slowConsumers;
  }

  push(groupId: number, content: Uint8Array): void {
    if (this.#pending.length > 0 && (this.#groupId !== groupId || this.#bytes >= MAX_BYTES)) this.flush();
    if (this.#pending.length === 0) {
      this.#groupId = groupId;
      this.#bytes = 0;
      this.#scheduler.schedule();
    }
    this.#pending.push(content);
    this.#bytes += content.length;
  }

  /**
   * Writes what is pending. Must be called before anything else is written, and before a connection enters or leaves a
   * group.
   */
  flush(): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    const isBurst = pending.length >= BURST || this.#bytes > BURST_BYTES;
    if (this.#slowConsumers.prepareWrite(this.#groupId, isBurst)) {
      this.#slowConsumers.write(this.#groupId, this.#batches(pending));
    } else this.#publishToGroup(pending);
  }

  #publishToGroup(pending: readonly Uint8Array[]): void {
    this.#isGroupPending = true;
    for (const content of pending) this.#groups.publish(this.#groupId, content, !isUtf8(content));
  }

  #batches(pending: readonly Uint8Array[]): WriteBatch[] {
    if (!this.#isGroupPending) return toWriteBatches(pending);
    // uWebSockets.js first writes what is pending in its topics, and ends the cork with that. So the first frame is a
    // batch alone.
    return [...toWriteBatches(pending.slice(0, 1)), ...toWriteBatches(pending.slice(1))];
  }
}
