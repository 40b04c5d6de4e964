import { Batches } from "./batch.ts";
import { Pace } from "./pace.ts";

/** Somebody who has something to write at the end of the tick. */
export type Writer = { flush(): void };

/**
 * Gathers what is to be written during one tick of the event loop, so that each peer gets it in one write, and peers that
 * get the same share its encoding. Many writes take several ticks.
 */
export class Outlet {
  readonly batches = new Batches();
  readonly #pace = new Pace();
  readonly #onFlushed: () => void;
  #writers = new Set<Writer>();
  #isPlanned = false;
  #isBehind = false;

  /** `onFlushed` is called whenever some have been flushed. */
  constructor(onFlushed: () => void) {
    this.#onFlushed = onFlushed;
  }

  /** Whether some that were to be flushed in an earlier tick still wait. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Flushes `writer` at the end of this tick or, when many are to be flushed, of one of the next. */
  add(writer: Writer): void {
    this.#writers.add(writer);
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    // After all that this tick reads from sockets, and before it waits for more.
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
