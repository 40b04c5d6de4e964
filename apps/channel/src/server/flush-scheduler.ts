import { Pace } from "../data/pace.ts";
import { FrameBatches } from "./frame-batch.ts";

/** Has data to write at the end of the tick. */
export type Writer = { flush(): void };

/**
 * Schedules writes for the end of the event-loop tick, so that each peer costs one write and peers with the same
 * payloads share their encoding. Many writes are spread over several ticks.
 */
export class FlushScheduler {
  readonly batches = new FrameBatches();
  readonly #pace = new Pace();
  readonly #onFlushed: () => void;
  #writers = new Set<Writer>();
  #isPlanned = false;
  #isBehind = false;

  /** `onFlushed` is called after each group of flushed writers. */
  constructor(onFlushed: () => void) {
    this.#onFlushed = onFlushed;
  }

  /** Whether writers of an earlier tick still wait. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Flushes `writer` at the end of this tick, or of a later one when many writers wait. */
  add(writer: Writer): void {
    this.#writers.add(writer);
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    // Runs after all sockets of this tick are read and before the loop waits for more.
    setImmediate(() => {
      this.#isPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const writer of this.#writers) {
      this.#writers.delete(writer);
      writer.flush();
      if (this.#pace.isOver()) break;
    }
    this.#isBehind = this.#writers.size > 0;
    if (this.#isBehind) this.#plan();
    else this.batches.clear();
    this.#onFlushed();
  }
}
