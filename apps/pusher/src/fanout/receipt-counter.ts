import { setImmediate as nextTurn } from "node:timers/promises";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { membersOf, type SmallSet } from "../connections/small-set.ts";

/** What brings publications. */
export type Subscribable = {
  readonly kind: "everyone" | "user" | "topic";
  /** The topic or pattern. */
  readonly pattern: string | undefined;
  /** The connections of a user. */
  readonly connectionIds: SmallSet<number>;
  has(connection: Connection): boolean;
};

type Noted = {
  readonly followed: Subscribable;
  /** Connections it was handed to. */
  readonly handedTo: number;
  /** Connections that follow and have not joined yet: they get it when they do. */
  readonly awaited: number;
  /** The connection that must not get it. */
  readonly exceptedId: number | undefined;
};
type Counted = { delivered: number; buffered: number };
type Entry = Counted & {
  readonly notedAt: number;
  settled: Promise<void>;
  /** Some that it was handed to have closed since: whether they got it is not known. */
  hasClosed: boolean;
  /** Connections that had not joined yet, each with what it joins. */
  awaiting: Awaiting[];
};
type Awaiting = { readonly followed: Subscribable; readonly connectionId: number };
type Batch = { readonly noted: (Noted & { readonly entry: Entry })[]; readonly settled: Promise<void> };
/** With those it was not written to, since they are over their limit. */
type Tally = Counted & { readonly followed: Subscribable; refused: number; readonly awaitedIds: number[] };

/** More that nobody has asked for are forgotten, the oldest first. */
const MAX_ENTRIES = 10_000;
/** A publisher may ask late: JetStream's acknowledgement takes as long as the change of a leader. */
const KEEP_MS = 30_000;

/**
 * Counts who got the publications that carry a receipt's id. What was handed over shows where it waits only when it has been
 * written, so connections are looked at a moment later: once, for all receipts of one turn of the event loop.
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

  /** Counts those that have joined since. Whether there is nobody left who has not. */
  hasCounted(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return true;
    entry.awaiting = entry.awaiting.filter((each) => !this.#countJoined(entry, each));
    return entry.awaiting.length === 0;
  }

  /**
   * What was counted, and forgets it. `isFinal` is false when it may have been forgotten before, and when connections closed
   * before they could be counted, as they do during a drain, or have not joined yet.
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
      // At the end of this turn what was gathered goes to the groups; before the next one ends uWebSockets.js has written it.
      await nextTurn();
      await nextTurn();
      this.#batch = undefined;
      this.#settle(noted);
    };
    return { noted, settled: settle() };
  }

  #settle(noted: Batch["noted"]): void {
    const tallies = this.#tally(noted);
    for (const { entry, followed, handedTo, awaited, exceptedId } of noted) {
      const tally = tallies.get(followed);
      if (tally === undefined) continue;
      const counted = this.#without(exceptedId, tally);
      // Who follows since then does not count.
      const most = handedTo + awaited;
      const buffered = Math.min(counted.buffered, most);
      const delivered = Math.min(counted.delivered, most - buffered);
      entry.buffered += buffered;
      entry.delivered += delivered;
      const handed = delivered + buffered + counted.refused;
      const awaitedIds = tally.awaitedIds.filter((connectionId) => connectionId !== exceptedId);
      // Without those that have joined meanwhile.
      const left = Math.max(0, Math.min(awaited, most - handed));
      entry.hasClosed ||= handed < handedTo || awaitedIds.length < left;
      entry.awaiting.push(...awaitedIds.slice(0, left).map((connectionId) => ({ followed, connectionId })));
    }
  }

  /** True when nothing is left to wait for. */
  #countJoined(entry: Entry, { followed, connectionId }: Awaiting): boolean {
    const connection = this.#connections.get(connectionId);
    if (connection === undefined) {
      entry.hasClosed = true;
      return true;
    }
    const tally = newTally(followed);
    add(tally, connection);
    entry.delivered += tally.delivered;
    entry.buffered += tally.buffered;
    return tally.awaitedIds.length === 0;
  }

  #tally(noted: Batch["noted"]): Map<Subscribable, Tally> {
    const tallies = new Map<Subscribable, Tally>();
    const byTopic = new Map<string, Tally>();
    let everyone: Tally | undefined;
    for (const { followed } of noted) {
      if (tallies.has(followed)) continue;
      const tally = newTally(followed);
      tallies.set(followed, tally);
      if (followed.kind === "user") this.#tallyUser(followed.connectionIds, tally);
      else if (followed.pattern !== undefined) byTopic.set(followed.pattern, tally);
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

  #without(exceptedId: number | undefined, tally: Tally): Omit<Tally, "followed" | "awaitedIds"> {
    const excepted = exceptedId === undefined ? undefined : this.#connections.get(exceptedId);
    if (excepted === undefined) return tally;
    const own = newTally(tally.followed);
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

function newTally(followed: Subscribable): Tally {
  return { followed, delivered: 0, buffered: 0, refused: 0, awaitedIds: [] };
}

function add(tally: Tally, connection: Connection): void {
  if (!tally.followed.has(connection)) tally.awaitedIds.push(connection.getUserData().connectionId);
  else if (connection.getUserData().isOverUnsentLimit) tally.refused++;
  else if (connection.getBufferedAmount() > 0) tally.buffered++;
  else tally.delivered++;
}
