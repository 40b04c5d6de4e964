import type { Account } from "../connections/memory-budget.ts";

/**
 * What one subscription brought while connections wait for their replay. One list for all of them: each remembers where it
 * began. Kept only as long as somebody waits, and as long as there is memory for it.
 */
export class Backlog<Entry> {
  readonly #account: Account;
  /** Mostly there are none: nothing comes in the moment in which somebody enters. */
  #entries: Entry[] | undefined;
  /** Index of the first entry kept. */
  #base = 0;
  #waiting = 0;
  #evictedAt = -1;

  /** @param open gives the account of the entries' bytes; what it is called with lets go of all of them. */
  constructor(open: (evict: () => void) => Account) {
    this.#account = open(() => this.#evict());
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

  push(entry: Entry, bytes: number): void {
    if (this.#waiting === 0) return;
    this.#entries ??= [];
    this.#entries.push(entry);
    this.#account.take(bytes);
  }

  /** What came since `index`, or undefined when some of it had to go. */
  since(index: number): Entry[] | undefined {
    if (index < this.#evictedAt) return undefined;
    return this.#entries?.slice(Math.max(0, index - this.#base)) ?? [];
  }

  /** The index that follows the last entry. */
  get end(): number {
    return this.#base + (this.#entries?.length ?? 0);
  }

  #evict(): void {
    this.#drop();
    this.#evictedAt = this.#base;
  }

  #drop(): void {
    this.#base = this.end;
    this.#entries = undefined;
    this.#account.close();
  }
}
