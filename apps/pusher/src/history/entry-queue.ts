/** An entry of the history that waits to be delivered. */
export type QueuedEntry = {
  readonly sequence: number;
  /** The history subject under which it is stored. */
  readonly subject: string;
  /** Size of the content. */
  readonly bytes: number;
  /** Sequence of the entry before it. */
  readonly previous: number;
  readonly queuedAt: number;
  /** No publication is missing before this entry, or the subscriptions that missed it were reported. */
  isGapSettled: boolean;
  /** The history no longer holds the content. */
  isMissing: boolean;
};

/** A first-in, first-out queue that does not move its elements at each removal. */
export class EntryQueue {
  #entries: QueuedEntry[] = [];
  #first = 0;

  get size(): number {
    return this.#entries.length - this.#first;
  }

  get head(): QueuedEntry | undefined {
    return this.#entries[this.#first];
  }

  push(entry: QueuedEntry): void {
    this.#entries.push(entry);
  }

  shift(): void {
    this.#first++;
    if (this.#first < 1_000 && this.#first < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }

  *upTo(count: number): Iterable<QueuedEntry> {
    const end = Math.min(this.#entries.length, this.#first + count);
    for (let at = this.#first; at < end; at++) yield this.#entries[at] as QueuedEntry;
  }

  clear(): void {
    this.#entries = [];
    this.#first = 0;
  }
}
