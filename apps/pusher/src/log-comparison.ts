import { setTimeout as delay } from "node:timers/promises";
import type { History, ReadRequest } from "@fanwire/bus";
import type { DurableTarget, Subjects } from "@fanwire/protocol";
import type { LogKey } from "./log-repair.ts";

export type ComparisonParts<Key extends LogKey> = {
  readonly history: Pick<History, "read">;
  readonly subjects: Subjects;
  /** All that is followed now. */
  keys(): Iterable<Key>;
  /** Of what is followed now, that which brings what is stored for a target. */
  keysOf(target: DurableTarget): readonly Key[];
};

/** The history up to where it is compared, and its life: of another one nothing is. */
type Extent = {
  readonly epoch: string | undefined;
  readonly upTo: number;
  /** False as soon as the history is another, or something is held: what is held counts as delivered once it is settled. */
  isValid(): boolean;
};

/** What is read of the history at one go, and for which keys. */
type Portion<Key> = Pick<ReadRequest, "filter" | "after"> & { readonly keys: readonly Key[] };
type Missing<Key> = { readonly key: Key; readonly sequence: number };
type Reading<Key> = {
  readonly keys: readonly Key[];
  /** All that is stored for the keys up to here was delivered, or is missing. */
  readonly through: number;
  readonly missing: readonly Missing<Key>[];
  /** Where the history began after the reading. */
  readonly firstStored: number;
};

/** What has just been stored may still be on its way to us. */
const IN_FLIGHT_MS = 500;
/** Asking for one key costs about as much as reading so many publications without their content. */
const ASKING_COSTS = 20;
const PAGE_LIMIT = 2_000;
/** More is not looked for: it is read from the history, for each key. */
const MAX_MISSING = 100_000;
/** So few suspects are asked about one by one. */
const FEW = 16;

/**
 * Compares what was delivered with what is stored. Costs as much as there is news in the history or as there are keys, whichever is
 * less.
 */
export class LogComparison<Key extends LogKey> {
  readonly #parts: ComparisonParts<Key>;

  constructor(parts: ComparisonParts<Key>) {
    this.#parts = parts;
  }

  /**
   * Keys that miss something, after a second look too; all others are settled as far as the history was read for them. Nothing is
   * known, and no key settled, where `extent` is not valid to the end.
   */
  async run(extent: Extent): Promise<Set<Key>> {
    const readings: Reading<Key>[] = [];
    const portions = extent.isValid() ? this.#portions(extent.upTo) : [];
    for (const portion of portions) if (extent.isValid()) readings.push(await this.#read(portion, extent));
    if (readings.some(({ missing }) => missing.length > 0)) await delay(IN_FLIGHT_MS);
    return extent.isValid() ? settle(readings) : new Set();
  }

  /**
   * Those of `suspects` that lack something, in a reading for all of them, while all that comes is held; the others are settled.
   * After an outage everything is suspect, and most of it lacks nothing. Who cannot be judged so remains suspect.
   */
  async lacking(suspects: readonly Key[], extent: Extent): Promise<readonly Key[]> {
    const news = this.#newsFor(suspects, extent.upTo);
    if (suspects.length <= FEW || !news.isCheap) return suspects;
    const { through, missing, firstStored } = await this.#read(news, extent);
    // What the history has dropped since shows nowhere.
    const isWhole = through >= extent.upTo && firstStored <= news.after + 1 && extent.isValid();
    if (!isWhole) return suspects;

    const guilty = new Set(missing.map(({ key }) => key));
    for (const key of news.keys) if (!guilty.has(key)) key.sequence.settle(through);
    return suspects.filter((key) => guilty.has(key) || key.sequence.floor === undefined);
  }

  /** All news for all keys together; or, where that is more, what is new for each key. */
  #portions(upTo: number): Portion<Key>[] {
    for (const { sequence } of this.#parts.keys()) if (sequence.floor === undefined) sequence.propose(upTo);
    const news = this.#newsFor(this.#parts.keys(), upTo);
    if (news.isCheap) return [news];
    return news.keys.flatMap((key) => {
      const filter = this.#parts.subjects.historyOf(key.key);
      return filter === undefined ? [] : { filter, after: key.sequence.floor ?? news.after, keys: [key] };
    });
  }

  /** What is new for any of the keys; cheap, when that costs less than to ask for each. */
  #newsFor(all: Iterable<Key>, upTo: number): Portion<Key> & { readonly isCheap: boolean } {
    const keys: Key[] = [];
    let after = upTo;
    let asking = 0;
    for (const key of all) {
      const { floor } = key.sequence;
      if (floor === undefined || floor >= upTo) continue;
      keys.push(key);
      after = Math.min(after, floor);
      asking += ASKING_COSTS + key.sequence.unsettled;
    }
    return { filter: this.#parts.subjects.allHistory, after, keys, isCheap: upTo - after <= asking };
  }

  async #read({ filter, after, keys }: Portion<Key>, { epoch, upTo, isValid }: Extent): Promise<Reading<Key>> {
    const missing: Missing<Key>[] = [];
    let through = after;
    let firstStored = 0;
    while (through < upTo && missing.length <= MAX_MISSING && isValid()) {
      const page = await this.#parts.history.read({
        filter,
        after: through,
        upTo,
        limit: PAGE_LIMIT,
        withoutContent: true,
      });
      if (!page.ok || page.history.epoch !== epoch || page.through <= through) break;
      through = Math.min(page.through, upTo);
      firstStored = page.history.firstSequence;
      for (const each of this.#missing(page.publications)) if (each.sequence <= upTo) missing.push(each);
    }
    return { keys, through, missing, firstStored };
  }

  #missing(stored: readonly { readonly sequence: number; readonly target: DurableTarget }[]): Missing<Key>[] {
    const missing: Missing<Key>[] = [];
    for (const { sequence, target } of stored) {
      for (const key of this.#parts.keysOf(target)) {
        // Of a key about which nothing is known, what comes next is what is next.
        const isKnown = key.sequence.floor !== undefined;
        if (isKnown && !key.sequence.isDelivered(sequence)) missing.push({ key, sequence });
      }
    }
    return missing;
  }
}

/** What is still missing makes its key suspect. */
function settle<Key extends LogKey>(readings: readonly Reading<Key>[]): Set<Key> {
  const missing = readings.flatMap((reading) => reading.missing);
  const suspects = new Set(missing.flatMap(({ key, sequence }) => (key.sequence.isDelivered(sequence) ? [] : key)));
  for (const { keys, through } of readings) {
    for (const key of keys) if (!suspects.has(key)) key.sequence.settle(through);
  }
  return suspects;
}
