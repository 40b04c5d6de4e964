import type { JobQueue } from "../pacing/job-queue.ts";
import { mergeInSlices, sortInSlices } from "../pacing/sort-in-slices.ts";

/** Without a request for this long, the index is dropped. */
const KEPT_FOR_MS = 60_000;
/**
 * Without a request until this many subscriptions have begun, it is dropped too, because it would hold those that have
 * ended.
 */
const MAX_BEGUN = 20_000;
const CHECK_EVERY = 256;

/** A topic or user with subscribers. A subscription without any has ended, and does not begin again. */
export type Occupied = { readonly subscribers: number };
export type Named<Item extends Occupied> = { readonly name: string; readonly item: Item };

type IndexParts<Item extends Occupied> = {
  readonly jobs: JobQueue;
  /** A live list of all subscriptions. Those that begin during an iteration come last. */
  readonly subscriptions: { readonly size: number; all(): Iterable<Item> };
  /** Returns the name; undefined for what is not in this index. */
  nameOf(item: Item): string | undefined;
};

/**
 * The names of subscriptions in the order of UTF-16 units, for lists in pages. The first request scans all
 * subscriptions. Later ones apply what has begun and ended since then, so that a page does not scan all of them.
 */
export class NameIndex<Item extends Occupied> {
  readonly #parts: IndexParts<Item>;
  #sorted: readonly Named<Item>[] | undefined;
  /** Subscriptions that have begun since the last request; undefined without an index. */
  #begun: Named<Item>[] | undefined;
  #hasEnded = false;
  #last: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: IndexParts<Item>) {
    this.#parts = parts;
  }

  /** Number of names in memory. */
  get size(): number {
    return (this.#sorted?.length ?? 0) + (this.#begun?.length ?? 0);
  }

  /** Must be called with each subscription that begins. Costs nothing without an index. */
  begun(item: Item): void {
    if (this.#begun === undefined) return;
    const name = this.#parts.nameOf(item);
    if (name === undefined) return;
    this.#begun.push({ name, item });
    if (this.#begun.length > MAX_BEGUN) this.#drop();
  }

  /** Must be called when a subscription ends. */
  ended(): void {
    this.#hasEnded = true;
  }

  /** Returns all names that are occupied now, sorted. */
  names(): Promise<readonly Named<Item>[]> {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#drop(), KEPT_FOR_MS);
    this.#timer.unref();
    const next = this.#last.then(() => this.#refresh());
    this.#last = next.catch(() => {});
    return next;
  }

  async #refresh(): Promise<readonly Named<Item>[]> {
    const { jobs } = this.#parts;
    if (this.#sorted !== undefined && this.#begun?.length === 0 && !this.#hasEnded) return this.#sorted;
    const before = this.#sorted;
    const begun = this.#begun ?? [];
    this.#begun = [];
    this.#hasEnded = false;
    try {
      const { result } = await jobs.run(before === undefined ? this.#scan() : merge(before, begun));
      // Dropped meanwhile: what began since then is not known.
      this.#sorted = this.#begun === undefined ? undefined : result;
      return result;
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  *#scan(): Generator<unknown, readonly Named<Item>[]> {
    const { subscriptions, nameOf } = this.#parts;
    const found: Named<Item>[] = [];
    // Subscriptions that begin during the scan must not prolong it.
    let left = subscriptions.size;
    for (const item of subscriptions.all()) {
      if (left-- === 0) break;
      const name = nameOf(item);
      if (name !== undefined) found.push({ name, item });
      if (left % CHECK_EVERY === 0) yield;
    }
    return yield* sortInSlices(found, byName);
  }

  #drop(): void {
    this.#sorted = undefined;
    this.#begun = undefined;
  }
}

/** Returns the names without ended subscriptions. A subscription that began during a scan may be in both lists. */
function* merge<Item extends Occupied>(
  sorted: readonly Named<Item>[],
  begun: readonly Named<Item>[],
): Generator<unknown, readonly Named<Item>[]> {
  const all = yield* mergeInSlices(sorted, yield* sortInSlices(begun, byName), byName);
  const occupied: Named<Item>[] = [];
  for (const [at, named] of all.entries()) {
    if (named.item.subscribers > 0 && occupied.at(-1)?.item !== named.item) occupied.push(named);
    if (at % CHECK_EVERY === 0) yield;
  }
  return occupied;
}

function byName(one: Named<Occupied>, other: Named<Occupied>): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}
