import type { ReportedFact } from "@fanwire/protocol";
import { isCountKey, type Key, memberKey, parseKey, topicKey } from "./keys.ts";

/** One worker's part of the state: its occupied topics, its members, and its subscriptions to topics. */
export type Contribution = { readonly keys: Set<Key>; readonly counts: Map<string, number> };

type StateFact = Exclude<ReportedFact, readonly ["event", ...unknown[]]>;

type UnionListener = {
  /** Called when the first worker gets a topic or member, and when the last one loses it. */
  onPresence(key: Key, isPresent: boolean): void;
  /** Called when the number of subscriptions to a topic in the cluster changes. */
  onCount(topic: string, subscriptions: number): void;
};

/** Keys that are processed before other work of the process gets its turn. */
const CHUNK = 5_000;

export function newContribution(): Contribution {
  return { keys: new Set(), counts: new Map() };
}

/** Applies a fact to the part of a worker. */
export function applyFact({ keys, counts }: Contribution, fact: StateFact): void {
  if (fact[0] === "count") {
    if (fact[2] === 0) counts.delete(fact[1]);
    else counts.set(fact[1], fact[2]);
    return;
  }
  if (fact[0] === "occupied" || fact[0] === "joined") keys.add(keyOf(fact));
  else keys.delete(keyOf(fact));
}

/** The state of the cluster: a topic is occupied, or a user a member, if this is so on any worker. */
export class Union {
  readonly #listener: UnionListener;
  readonly #workers = new Map<string, Contribution>();
  /** Number of workers that have a key. */
  readonly #holders = new Map<Key, number>();
  readonly #totals = new Map<string, number>();

  constructor(listener: UnionListener) {
    this.#listener = listener;
  }

  has(key: Key): boolean {
    return isCountKey(key) ? this.#totals.has(parseKey(key).topic) : this.#holders.has(key);
  }

  count(topic: string): number {
    return this.#totals.get(topic) ?? 0;
  }

  /** Applies one fact of a worker. */
  apply(worker: string, fact: StateFact): void {
    const own = this.#of(worker);
    if (fact[0] === "count") this.#setCount(own, fact[1], fact[2]);
    else if (fact[0] === "occupied" || fact[0] === "joined") this.#add(own, keyOf(fact));
    else this.#remove(own, keyOf(fact));
  }

  /** Replaces the part of a worker. Adds before it removes, so that no key is reported as lost that stays. */
  async replace(worker: string, { keys, counts }: Contribution): Promise<void> {
    const own = this.#of(worker);
    await inChunks(keys, (key) => this.#add(own, key));
    await inChunks(counts, ([topic, count]) => this.#setCount(own, topic, count));
    await inChunks(own.keys, (key) => !keys.has(key) && this.#remove(own, key));
    await inChunks(own.counts, ([topic]) => !counts.has(topic) && this.#setCount(own, topic, 0));
  }

  /** Removes a worker and its part. */
  async remove(worker: string): Promise<void> {
    const own = this.#workers.get(worker);
    this.#workers.delete(worker);
    if (own === undefined) return;
    await inChunks(own.keys, (key) => this.#remove(own, key));
    await inChunks(own.counts, ([topic]) => this.#setCount(own, topic, 0));
  }

  #of(worker: string): Contribution {
    const own = this.#workers.get(worker) ?? newContribution();
    this.#workers.set(worker, own);
    return own;
  }

  #add({ keys }: Contribution, key: Key): void {
    if (keys.has(key)) return;
    keys.add(key);
    const holders = this.#holders.get(key) ?? 0;
    this.#holders.set(key, holders + 1);
    if (holders === 0) this.#listener.onPresence(key, true);
  }

  #remove({ keys }: Contribution, key: Key): void {
    if (!keys.delete(key)) return;
    const holders = (this.#holders.get(key) ?? 1) - 1;
    if (holders > 0) {
      this.#holders.set(key, holders);
      return;
    }
    this.#holders.delete(key);
    this.#listener.onPresence(key, false);
  }

  #setCount({ counts }: Contribution, topic: string, count: number): void {
    const difference = count - (counts.get(topic) ?? 0);
    if (difference === 0) return;
    if (count === 0) counts.delete(topic);
    else counts.set(topic, count);
    const total = this.count(topic) + difference;
    if (total === 0) this.#totals.delete(topic);
    else this.#totals.set(topic, total);
    this.#listener.onCount(topic, total);
  }
}

function keyOf(fact: Exclude<StateFact, readonly ["count", ...unknown[]]>): Key {
  return fact[0] === "joined" || fact[0] === "left" ? memberKey(fact[1], fact[2]) : topicKey(fact[1]);
}

async function inChunks<T>(all: Iterable<T>, act: (each: T) => unknown): Promise<void> {
  let done = 0;
  for (const each of all) {
    act(each);
    done++;
    if (done % CHUNK === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
