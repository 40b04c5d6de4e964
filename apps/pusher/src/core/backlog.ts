/**
 * What a followed key brought while connections wait for their replay. One list for all of them: each remembers where it
 * began. Kept only as long as somebody waits.
 */
export class Backlog<Entry> {
  readonly #maxEntries: number;
  /** Mostly there are none: nothing comes in the moment in which somebody enters. */
  #entries: Entry[] | undefined;
  /** Index of the first entry kept. */
  #base = 0;
  #waiting = 0;
  #overflowedAt = -1;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get isNeeded(): boolean {
    return this.#waiting > 0;
  }

  /** Somebody begins to wait; gives the index from which the entries are its own. */
  enter(): number {
    this.#waiting++;
    return this.end;
  }

  leave(): void {
    this.#waiting--;
    if (this.#waiting === 0) this.#drop();
  }

  /** Beyond the bound everything is dropped: those who wait learn it from {@link since}. */
  push(entry: Entry): void {
    if (this.#waiting === 0) return;
    if (this.end - this.#base >= this.#maxEntries) {
      this.#drop();
      this.#overflowedAt = this.#base;
    }
    this.#entries ??= [];
    this.#entries.push(entry);
  }

  /** What came since `index`, or undefined when some of it was dropped. */
  since(index: number): Entry[] | undefined {
    if (index < this.#overflowedAt) return undefined;
    return this.#entries?.slice(Math.max(0, index - this.#base)) ?? [];
  }

  /** The index that follows the last entry. */
  get end(): number {
    return this.#base + (this.#entries?.length ?? 0);
  }

  #drop(): void {
    this.#base = this.end;
    this.#entries = undefined;
  }
}
