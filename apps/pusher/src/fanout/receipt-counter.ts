import { setImmediate as nextTick } from "node:timers/promises";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { membersOf, type SmallSet } from "../connections/small-set.ts";
import type { LocalSubscription } from "./local-subscription.ts";

/** A subscription whose receivers are counted. */
export type CountedSubscription = Pick<LocalSubscription, "kind" | "pattern" | "connectionIds" | "has">;

type Noted = {
  readonly subscription: CountedSubscription;
  /** Connections that the publication was handed to. */
  readonly handedTo: number;
  /** Connections that are subscribed and have not joined yet. They receive the publication when they join. */
  readonly awaited: number;
  /** The connection that must not receive the publication. */
  readonly exceptedId: number | undefined;
};
type Counted = { delivered: number; buffered: number };
type Entry = Counted & {
  readonly notedAt: number;
  settled: Promise<void>;
  /** Whether some receivers have closed since, so that it is unknown whether they received the publication. */
  hasClosed: boolean;
  /** Connections that had not joined yet, each with its subscription. */
  awaiting: Awaiting[];
};
type Awaiting = { readonly subscription: CountedSubscription; readonly connectionId: number };
type Batch = { readonly noted: (Noted & { readonly entry: Entry })[]; readonly settled: Promise<void> };
/** `refused` counts connections that were not written to, because they are over their limit. */
type Tally = Counted & { readonly subscription: CountedSubscription; refused: number; readonly awaitedIds: number[] };

/** Maximum number of unclaimed receipts. The oldest are evicted. */
const MAX_ENTRIES = 10_000;
/** Time until an unclaimed receipt is evicted. A publisher waits this long for JetStream if its leader changes. */
const KEEP_MS = 30_000;

/**
 * Counts the receivers of publications that carry a receipt's id. Whether a connection buffers a publication is known only after the
 * write. So connections are examined a moment later, once for all receipts of an event-loop tick.
 */
export class Receipts {
  readonly #connections: Connections<Connection>;
  readonly #entries = new Map<string, Entry>();
  #batch: Batch | undefined;
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(connections: Connections<Connection>) {
    this.#connections = connections;
  }

  /** Must be called in the tick in which a publication was handed to connections. */
  note(id: string, noted: Noted): void {
    if (noted.handedTo === 0 && noted.awaited <= 0) return;
    this.#batch ??= this.#openBatch();
    const { settled } = this.#batch;
    const entry = this.#entries.get(id) ?? newEntry(settled);
    entry.settled = settled;
    this.#entries.set(id, entry);
    this.#batch.noted.push({ ...noted, entry });
    this.#forget();
  }

  /** Counts connections that have joined since. Returns whether all have joined. */
  hasCounted(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return true;
    entry.awaiting = entry.awaiting.filter((each) => !this.#countJoined(entry, each));
    return entry.awaiting.length === 0;
  }

  /**
   * Returns and deletes what was counted. `isFinal` is false if the receipt may have been evicted, and if connections have not joined yet
   * or closed before they were counted, as they do during a drain.
   */
  async take(id: string): Promise<Counted & { readonly isFinal: boolean }> {
    const entry = this.#entries.get(id);
    await entry?.settled;
    const hasCounted = this.hasCounted(id);
    this.#entries.delete(id);
    const isFinal = entry === undefined ? performance.now() - this.#forgotAt > KEEP_MS : hasCounted && !entry.hasClosed;
    return { delivered: entry?.delivered ?? 0, buffered: entry?.buffered ?? 0, isFinal };
  }

  #openBatch(): Batch {
    const noted: Batch["noted"] = [];
    const settle = async () => {
      // When this tick ends, batches go to the groups. Before the next one ends, uWebSockets.js has written them.
      await nextTick();
      await nextTick();
      this.#batch = undefined;
      this.#settle(noted);
    };
    return { noted, settled: settle() };
  }

  #settle(noted: Batch["noted"]): void {
    const tallies = this.#tally(noted);
    for (const { entry, subscription, handedTo, awaited, exceptedId } of noted) {
      const tally = tallies.get(subscription);
      if (tally === undefined) continue;
      const counted = this.#without(exceptedId, tally);
      // Connections that have subscribed since do not count.
      const most = handedTo + awaited;
      const buffered = Math.min(counted.buffered, most);
      const delivered = Math.min(counted.delivered, most - buffered);
      entry.buffered += buffered;
      entry.delivered += delivered;
      const handed = delivered + buffered + counted.refused;
      const awaitedIds = tally.awaitedIds.filter((connectionId) => connectionId !== exceptedId);
      // Without connections that have joined since.
      const left = Math.max(0, Math.min(awaited, most - handed));
      entry.hasClosed ||= handed < handedTo || awaitedIds.length < left;
      entry.awaiting.push(...awaitedIds.slice(0, left).map((connectionId) => ({ subscription, connectionId })));
    }
  }

  /** Returns whether nothing is left to wait for. */
  #countJoined(entry: Entry, { subscription, connectionId }: Awaiting): boolean {
    const connection = this.#connections.get(connectionId);
    if (connection === undefined) {
      entry.hasClosed = true;
      return true;
    }
    const tally = newTally(subscription);
    add(tally, connection);
    entry.delivered += tally.delivered;
    entry.buffered += tally.buffered;
    return tally.awaitedIds.length === 0;
  }

  #tally(noted: Batch["noted"]): Map<CountedSubscription, Tally> {
    const tallies = new Map<CountedSubscription, Tally>();
    const byTopic = new Map<string, Tally>();
    let everyone: Tally | undefined;
    for (const { subscription } of noted) {
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

  #without(exceptedId: number | undefined, tally: Tally): Omit<Tally, "subscription" | "awaitedIds"> {
    const excepted = exceptedId === undefined ? undefined : this.#connections.get(exceptedId);
    if (excepted === undefined) return tally;
    const own = newTally(tally.subscription);
    add(own, excepted);
    return {
      delivered: tally.delivered - own.delivered,
      buffered: tally.buffered - own.buffered,
      refused: tally.refused - own.refused,
    };
  }

  #forget(): void {
    const now = performance.now();
    for (const [id, { notedAt }] of this.#entries) {
      const isOld = now - notedAt > KEEP_MS;
      if (!isOld && this.#entries.size <= MAX_ENTRIES) return;
      if (!isOld) this.#forgotAt = now;
      this.#entries.delete(id);
    }
  }
}

function newEntry(settled: Promise<void>): Entry {
  return { delivered: 0, buffered: 0, notedAt: performance.now(), settled, hasClosed: false, awaiting: [] };
}

function newTally(subscription: CountedSubscription): Tally {
  return { subscription, delivered: 0, buffered: 0, refused: 0, awaitedIds: [] };
}

function add(tally: Tally, connection: Connection): void {
  if (!tally.subscription.has(connection)) tally.awaitedIds.push(connection.getUserData().connectionId);
  else if (connection.getUserData().isOverUnsentLimit) tally.refused++;
  else if (connection.getBufferedAmount() > 0) tally.buffered++;
  else tally.delivered++;
}
