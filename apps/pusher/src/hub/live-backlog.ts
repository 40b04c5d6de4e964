import type { Account } from "../connections/memory-budget.ts";

/**
 * The messages that one subscription received while connections wait for their replays. All readers share one list, and each
 * remembers the index at which it began. The list exists only while a connection waits, and is evicted when memory is short.
 */
export class Backlog<Entry> {
  readonly #open: (evict: () => void) => Account;
  #account: Account | undefined;
  /** Created with the first entry, because usually none arrives while a connection waits. */
  #entries: Entry[] | undefined;
  /** Index of the first entry in the list. */
  #base = 0;
  #readers = 0;
  #evictedAt = -1;

  /** @param open returns the account for the entries' bytes. It calls its argument to evict all of them. */
  constructor(open: (evict: () => void) => Account) {
    this.#open = open;
  }

  get isNeeded(): boolean {
    return this.#readers > 0;
  }

  /** Returns the index of the first entry that is for this reader. */
  addReader(): number {
    this.#readers++;
    return this.end;
  }

  removeReader(): void {
    this.#readers--;
    if (this.#readers === 0) this.#drop();
  }

  push(entry: Entry, bytes: number): void {
    if (this.#readers === 0) return;
    this.#entries ??= [];
    this.#entries.push(entry);
    this.#account ??= this.#open(() => this.#evict());
    this.#account.take(bytes);
  }

  /** Returns the entries from `index` on, or undefined when some of them were evicted. */
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
    this.#account?.close();
  }
}
