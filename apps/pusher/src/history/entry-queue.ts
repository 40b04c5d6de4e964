/** An entry of the history that waits to be delivered. */
export type QueuedEntry = {
  readonly sequence: number;
  /** The history subject under which it is stored. */
  readonly subject: string;
  /** Size of the content. */
  readonly bytes: number;
  /** The history has dropped everything after the previous entry, up to and including this sequence. */
  readonly droppedUpTo: number;
  readonly queuedAt: number;
  /** The subscriptions that may have missed what was dropped have been reported. */
  isGapReported: boolean;
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

  *all(): Iterable<QueuedEntry> {
    for (let at = this.#first; at < this.#entries.length; at++) yield this.#entries[at] as QueuedEntry;
  }

  clear(): void {
    this.#entries = [];
    this.#first = 0;
  }
}
