import { setImmediate as nextTick } from "node:timers/promises";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { membersOf, type SmallSet } from "../connections/small-set.ts";
import type { LocalSubscription, WaitingConnection } from "./local-subscription.ts";

/** A subscription whose receivers are counted. */
export type CountedSubscription = Pick<LocalSubscription, "kind" | "pattern" | "connectionIds" | "has">;

type Noted = {
  readonly subscription: CountedSubscription;
  /** Connections that the publication was handed to. */
  readonly handedTo: number;
  /** Connections that are not live yet. Each is counted by {@link ReceiptCounter.countWaiting}. */
  readonly waiting: Iterable<WaitingConnection>;
  /** The connection that must not receive the publication. */
  readonly exceptedId: number | undefined;
};
/** Whether a connection that waited has received a publication. */
export type WaitingOutcome = "received" | "not-received" | "unknown";
type Counted = { delivered: number; buffered: number };
type Entry = Counted & {
  readonly notedAt: number;
  /** Resolves when the connections that were live are counted. */
  settled: Promise<void>;
  /** Whether some connections have closed since, so that it is unknown whether they received the publication. */
  isUncertain: boolean;
  /**
   * Connections that wait, each with the number of publications that are not counted. A receipt for several topics has
   * several for a pattern.
   */
  readonly waiting: Map<WaitingConnection, number>;
};
type Handed = Pick<Noted, "subscription" | "handedTo" | "exceptedId"> & {
  readonly entry: Entry;
  /** Number of starts of the subscription in this batch before the publication was handed over. */
  readonly startsBefore: number;
};
type Batch = {
  readonly handed: Handed[];
  /** Ids of the connections to which delivery has started since the batch began. */
  readonly starts: Map<CountedSubscription, number[]>;
  readonly settled: Promise<void>;
};
/** `refused` counts connections that were not written to, because they are over their limit. */
type Tally = Counted & { readonly subscription: CountedSubscription; refused: number };

/** Maximum number of unclaimed receipts. The oldest are evicted. */
const MAX_ENTRIES = 10_000;
/**
 * Number of waiting connections, over all receipts, from which those of further receipts are not noted. Ten thousand may
 * wait, and each note takes time and memory.
 */
const MAX_WAITING = 100_000;
/** Time until an unclaimed receipt is evicted. A publisher waits this long for JetStream if its leader changes. */
const KEEP_MS = 30_000;

/**
 * Counts the receivers of publications that carry a receipt's id. Whether a connection buffers a publication is known
 * only after the write. So connections are examined a moment later, once for all receipts of an event-loop tick.
 */
export class ReceiptCounter {
  readonly #connections: Connections<Connection>;
  readonly #entries = new Map<string, Entry>();
  /** Number of receipts that are incomplete because too many connections waited. */
  uncounted = 0;
  /** Number of waiting connections, over all receipts. */
  #waiting = 0;
  #batch: Batch | undefined;
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(connections: Connections<Connection>) {
    this.#connections = connections;
  }

  /** Must be called in the tick in which a publication was handed to connections. */
  note(id: string, { subscription, handedTo, waiting, exceptedId }: Noted): void {
    const isOver = this.#waiting >= MAX_WAITING;
    const others = othersOf(waiting, exceptedId, isOver ? 1 : Number.POSITIVE_INFINITY);
    if (handedTo === 0 && others.length === 0) return;
    this.#batch ??= this.#openBatch();
    const { settled, starts, handed } = this.#batch;
    const entry = this.#entries.get(id) ?? newEntry(settled);
    entry.settled = settled;
    this.#entries.set(id, entry);
    if (isOver && others.length > 0) this.#leaveUncounted(entry);
    else this.#addWaiting(entry, others);
    const startsBefore = starts.get(subscription)?.length ?? 0;
    if (handedTo > 0) handed.push({ subscription, handedTo, exceptedId, entry, startsBefore });
    this.#forget();
  }

  #addWaiting(entry: Entry, others: readonly WaitingConnection[]): void {
    const before = entry.waiting.size;
    for (const each of others) entry.waiting.set(each, (entry.waiting.get(each) ?? 0) + 1);
    this.#waiting += entry.waiting.size - before;
  }

  #leaveUncounted(entry: Entry): void {
    if (!entry.isUncertain) this.uncounted++;
    entry.isUncertain = true;
  }

  #removeWaiting(entry: Entry, each: WaitingConnection): void {
    if (entry.waiting.delete(each)) this.#waiting--;
  }

  #delete(id: string): void {
    this.#waiting -= this.#entries.get(id)?.waiting.size ?? 0;
    this.#entries.delete(id);
  }

  /** Must be called when delivery to a connection starts. It has no part in what was handed over before. */
  onStart(subscription: CountedSubscription, connection: Connection): void {
    if (this.#batch === undefined) return;
    const { starts } = this.#batch;
    const ids = starts.get(subscription) ?? [];
    ids.push(connection.getUserData().connectionId);
    starts.set(subscription, ids);
  }

  /** Must be called for each publication when it is known whether a connection that waited has received it. */
  countWaiting(id: string, waiting: WaitingConnection, outcome: WaitingOutcome): void {
    const entry = this.#entries.get(id);
    const count = entry?.waiting.get(waiting);
    if (entry === undefined || count === undefined) return;
    if (count > 1) entry.waiting.set(waiting, count - 1);
    else this.#removeWaiting(entry, waiting);
    if (outcome === "not-received") return;
    const connection = this.#connections.get(waiting.connectionId);
    if (outcome === "unknown" || connection === undefined) entry.isUncertain = true;
    else if (!connection.getUserData().isOverUnsentLimit) addTo(entry, connection);
  }

  /** Returns whether no connection is left that waits. Is called often, so it stops at the first one. */
  hasCounted(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return true;
    for (const each of entry.waiting.keys()) {
      const hasClosed = this.#connections.get(each.connectionId) === undefined;
      if (hasClosed) entry.isUncertain = true;
      // One that has left without having been counted has unsubscribed.
      else if (!each.hasLeft) return false;
      this.#removeWaiting(entry, each);
    }
    return true;
  }

  /**
   * Returns and deletes what was counted. `isFinal` is false if the receipt may have been evicted. It is also false if
   * connections still wait, or closed before they were counted, as during a drain.
   */
  async take(id: string): Promise<Counted & { readonly isFinal: boolean }> {
    const entry = this.#entries.get(id);
    await entry?.settled;
    const hasCounted = this.hasCounted(id);
    this.#delete(id);
    const isFinal =
      entry === undefined ? performance.now() - this.#forgotAt > KEEP_MS : hasCounted && !entry.isUncertain;
    return { delivered: entry?.delivered ?? 0, buffered: entry?.buffered ?? 0, isFinal };
  }

  #openBatch(): Batch {
    const handed: Handed[] = [];
    const starts: Batch["starts"] = new Map();
    const settle = async () => {
      // When this tick ends, batches go to the groups. Before the next one ends, uWebSockets.js has written them.
      await nextTick();
      await nextTick();
      this.#batch = undefined;
      this.#countBatch(handed, starts);
    };
    return { handed, starts, settled: settle() };
  }

  #countBatch(handed: readonly Handed[], starts: Batch["starts"]): void {
    const tallies = this.#tally(handed);
    for (const { entry, subscription, handedTo, exceptedId, startsBefore } of handed) {
      const tally = tallies.get(subscription);
      if (tally === undefined) continue;
      const startedSince = starts.get(subscription)?.slice(startsBefore) ?? [];
      const counted = this.#without(new Set([exceptedId, ...startedSince]), tally);
      const buffered = Math.min(counted.buffered, handedTo);
      const delivered = Math.min(counted.delivered, handedTo - buffered);
      entry.buffered += buffered;
      entry.delivered += delivered;
      entry.isUncertain ||= delivered + buffered + counted.refused < handedTo;
    }
  }

  #tally(handed: readonly Handed[]): Map<CountedSubscription, Tally> {
    const tallies = new Map<CountedSubscription, Tally>();
    const byTopic = new Map<string, Tally>();
    let everyone: Tally | undefined;
    for (const { subscription } of handed) {
      if (tallies.has(subscription)) continue;
      const tally = newTally(subscription);
      tallies.set(subscription, tally);
      if (subscription.kind === "user") this.#tallyUser(subscription.connectionIds, tally);
      else if (subscription.pattern !== undefined) byTopic.set(subscription.pattern, tally);
      else everyone = tally;
    }
    if (everyone !== undefined || byTopic.size > 0) this.#tallyAll(everyone, byTopic);
    return tallies;
  }

  #tallyUser(connectionIds: SmallSet<number>, tally: Tally): void {
    for (const connectionId of membersOf(connectionIds)) {
      const connection = this.#connections.get(connectionId);
      if (connection !== undefined) add(tally, connection);
    }
  }

  #tallyAll(everyone: Tally | undefined, byTopic: ReadonlyMap<string, Tally>): void {
    for (const connection of this.#connections.all()) {
      if (everyone !== undefined) add(everyone, connection);
      if (byTopic.size === 0) continue;
      for (const pattern of membersOf(connection.getUserData().topics)) {
        const tally = byTopic.get(pattern);
        if (tally !== undefined) add(tally, connection);
      }
    }
  }

  #without(connectionIds: ReadonlySet<number | undefined>, tally: Tally): Tally {
    const others = newTally(tally.subscription);
    for (const id of connectionIds) {
      const connection = id === undefined ? undefined : this.#connections.get(id);
      if (connection !== undefined) add(others, connection);
    }
    return {
      subscription: tally.subscription,
      delivered: tally.delivered - others.delivered,
      buffered: tally.buffered - others.buffered,
      refused: tally.refused - others.refused,
    };
  }

  #forget(): void {
    const now = performance.now();
    for (const [id, { notedAt }] of this.#entries) {
      const isOld = now - notedAt > KEEP_MS;
      if (!isOld && this.#entries.size <= MAX_ENTRIES) return;
      if (!isOld) this.#forgotAt = now;
      this.#delete(id);
    }
  }
}

/** Returns at most `limit` of the connections that wait and may receive the publication. */
function othersOf(waiting: Noted["waiting"], exceptedId: number | undefined, limit: number): WaitingConnection[] {
  const others: WaitingConnection[] = [];
  for (const each of waiting) {
    if (each.connectionId !== exceptedId) others.push(each);
    if (others.length >= limit) break;
  }
  return others;
}

function newEntry(settled: Promise<void>): Entry {
  const notedAt = performance.now();
  return { delivered: 0, buffered: 0, notedAt, settled, isUncertain: false, waiting: new Map() };
}

function newTally(subscription: CountedSubscription): Tally {
  return { subscription, delivered: 0, buffered: 0, refused: 0 };
}

function add(tally: Tally, connection: Connection): void {
  if (!tally.subscription.has(connection)) return;
  if (connection.getUserData().isOverUnsentLimit) tally.refused++;
  else addTo(tally, connection);
}

function addTo(counted: Counted, connection: Connection): void {
  if (connection.getBufferedAmount() > 0) counted.buffered++;
  else counted.delivered++;
}
