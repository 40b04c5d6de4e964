import { Batches } from "./batch.ts";

/** Somebody who has something to write at the end of the turn. */
export type Writer = { flush(): void };

/**
 * Gathers what is to be written during one turn of the event loop, so that each peer gets it in one write, and peers who
 * get the same share its encoding.
 */
export class Outlet {
  readonly batches = new Batches();
  #writers: Writer[] = [];

  /** Has `writer` flushed at the end of this turn; to be called once for each turn. */
  add(writer: Writer): void {
    this.#writers.push(writer);
    // After all that this turn reads from sockets, and before it waits for more.
    if (this.#writers.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const writers = this.#writers;
    this.#writers = [];
    for (const writer of writers) writer.flush();
    this.batches.clear();
  }
}
