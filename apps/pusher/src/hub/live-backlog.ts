import type { Account } from "../connections/memory-budget.ts";
import { membersOf, type SmallSet, withMember, withoutMember } from "../connections/small-set.ts";

/** A connection that waits for its replay. */
export type Reader = {
  readonly connectionId: number;
  /** Index of the first entry that the reader has not taken. */
  next: number;
  /** Whether it waits no longer. A reader that has unsubscribed is removed earlier, while its replay is being sent. */
  hasLeft: boolean;
};

const NONE: readonly never[] = [];
/** Minimum number of entries at which the list is trimmed. */
const MIN_TRIMMED = 1_000;

/**
 * The messages that one subscription received while connections wait for their replays. All readers share one list. It
 * exists only while a connection waits, and is evicted when memory is short.
 */
export class Backlog<Entry> {
  readonly #open: (evict: () => void) => Account;
  #account: Account | undefined;
  /** Created with the first entry, because usually none arrives while a connection waits. */
  #entries: { readonly entry: Entry; readonly bytes: number }[] | undefined;
  /** Number of entries at which those that every reader has taken are dropped. */
  #trimAt = MIN_TRIMMED;
  /** Index of the first entry in the list. */
  #base = 0;
  #readers: SmallSet<Reader>;
  #evictedAt = -1;

  /** @param open returns the account for the entries' bytes. It calls its argument to evict all of them. */
  constructor(open: (evict: () => void) => Account) {
    this.#open = open;
  }

  get isNeeded(): boolean {
    return this.#readers !== undefined;
  }

  get readers(): Iterable<Reader> {
    return membersOf(this.#readers);
  }

  /** Adds a reader for the entries from now on. */
  addReader(connectionId: number): Reader {
    const reader = { connectionId, next: this.#end, hasLeft: false };
    this.#readers = withMember(this.#readers, reader);
    return reader;
  }

  removeReader(reader: Reader): void {
    this.#readers = withoutMember(this.#readers, reader);
    if (this.#readers === undefined) this.#drop();
  }

  push(entry: Entry, bytes: number): void {
    if (this.#readers === undefined) return;
    this.#entries ??= [];
    if (this.#entries.length >= this.#trimAt) this.#trim(this.#entries);
    this.#entries.push({ entry, bytes });
    this.#account ??= this.#open(() => this.#evict());
    this.#account.take(bytes);
  }

  /** Returns the entries that the reader has not taken, or undefined when some of them were evicted. */
  take(reader: Reader): readonly Entry[] | undefined {
    const from = reader.next;
    if (from < this.#evictedAt) return undefined;
    if (from === this.#end) return NONE;
    reader.next = this.#end;
    return this.#entries?.slice(from - this.#base).map(({ entry }) => entry) ?? NONE;
  }

  /** The index that follows the last entry. */
  get #end(): number {
    return this.#base + (this.#entries?.length ?? 0);
  }

  /** Drops what every reader has taken. Some connection may always wait, for example on the subscription to everyone. */
  #trim(entries: { readonly bytes: number }[]): void {
    let lowest = this.#end;
    for (const { next } of this.readers) lowest = Math.min(lowest, next);
    const taken = entries.splice(0, Math.max(0, lowest - this.#base));
    this.#base += taken.length;
    this.#account?.give(taken.reduce((sum, { bytes }) => sum + bytes, 0));
    this.#trimAt = Math.max(MIN_TRIMMED, 2 * entries.length);
  }

  #evict(): void {
    this.#drop();
    this.#evictedAt = this.#base;
  }

  #drop(): void {
    this.#base = this.#end;
    this.#entries = undefined;
    this.#account?.close();
  }
}
