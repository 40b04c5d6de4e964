import { setTimeout as delay } from "node:timers/promises";
import {
  type Bus,
  type BusMessage,
  type EntryReceiver,
  type History,
  isEarlierEpoch,
  isSameCreation,
  type StoredPlace,
  storedPlace,
} from "@fanwire/bus";
import { formatPosition, type HistoryState, type Position, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { Arrivals } from "./arrivals.ts";
import { ContentFetcher } from "./content-fetcher.ts";
import { EntryQueue, type QueuedEntry } from "./entry-queue.ts";
import { HistoryFeed } from "./feed.ts";

/** A subscription of this worker, as the frontier needs it. */
export type OrderedSubscription = {
  /** Orders the copies of a publication that several subscriptions receive. Every worker has the same order. */
  readonly tag: string;
  /** Time at which it subscribed, in milliseconds of `performance.now()`. */
  readonly begunAt: number;
};

type FrontierParts<To extends OrderedSubscription> = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly budget: MemoryBudget;
  readonly counters: Counters;
  readonly log: Log;
  /** Returns the subscriptions that receive publications stored under a history subject. */
  subscriptionsTo(historySubject: string): readonly To[];
  allSubscriptions(): Iterable<To>;
  /** Whether a connection receives the copies of both. */
  haveCommon(one: To, other: To): boolean;
  /** `resume`: position of a connection that receives this copy and misses a later one of the same publication. */
  deliver(to: To, message: BusMessage, at: { readonly position: string; readonly resume?: string }): void;
  /** Called with subscriptions that missed a publication which is no longer stored. */
  missed(to: readonly To[]): void;
  /** Whether connections have unsent bytes, so that delivery of old publications should wait. */
  isCongested(): boolean;
};

/** Maximum number of entries that wait for delivery. The worker requests no others meanwhile. */
const MAX_QUEUED = 2_000;
/** Content is fetched after this time. Usually it is republished at about the time at which its entry arrives. */
const CONTENT_MS = 500;
/** The same for content that may have been published before NATS knew of the subscription. */
const FRESH_CONTENT_MS = 20;
const FRESH_FOR_MS = 1_000;
/** Maximum number of fetches at a time. Live publications wait behind their answers on the connection to NATS. */
const MAX_FETCHES = 64;
const MAX_FETCHED_BYTES = 1_048_576;
const RETRY_MS = 250;
/** A run of deliveries pauses after this time or this much content, so that other work can run. */
const RUN_MS = 5;
const RUN_BYTES = 131_072;
const CONGESTED_CHECK_MS = 5;
/** Delivery continues after this time, because a connection that is still congested must not delay others. */
const MAX_CONGESTED_MS = 1_000;
const PATIENT_AFTER_MS = 1_000;
/** Maximum time by which the frontier is behind the history while entries are polled. */
export const MAX_BEHIND_MS = 40;
const EXPIRE_EVERY_MS = 10_000;
/** A worker whose durable deliveries have been stuck for this long is not ready. */
const STALLED_MS = 10_000;

/**
 * Delivers each durable publication once and in stream order to the subscriptions of this worker. The frontier is the sequence up to
 * which the worker has processed all of the history. It is the position of every live connection. One consumer delivers the entries
 * in order. Their content is republished, or fetched.
 */
export class Frontier<To extends OrderedSubscription> implements EntryReceiver {
  readonly #parts: FrontierParts<To>;
  readonly #feed: HistoryFeed;
  readonly #queue = new EntryQueue();
  readonly #arrivals: Arrivals;
  readonly #contents: ContentFetcher;
  readonly #expiryTimer: NodeJS.Timeout;
  #epoch: string | undefined;
  #sequence = 0;
  /** Publications up to this sequence may have been republished before this worker could receive them. */
  #storedBefore = 0;
  #neededAt = Number.NEGATIVE_INFINITY;
  #behindUntil = Number.NEGATIVE_INFINITY;
  #waitTimer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isPaused = false;
  #headSince = 0;
  #headSequence = 0;
  #isStopped = false;

  constructor(parts: FrontierParts<To>) {
    this.#parts = parts;
    this.#arrivals = new Arrivals(parts.budget);
    this.#contents = new ContentFetcher({
      ...parts,
      arrivals: this.#arrivals,
      isDue: (sequence) => !this.#isStopped && sequence > this.#sequence,
      onFetched: () => this.#run(),
    });
    this.#feed = new HistoryFeed({
      ...parts,
      receiver: this,
      isDoubtful: ({ epoch, lastSequence }) =>
        this.#epoch !== undefined &&
        (isEarlierEpoch(epoch, this.#epoch) || (epoch === this.#epoch && lastSequence < this.#sequence)),
      onState: (history) => this.#onState(history),
      isSame: ({ epoch, lastSequence }) => epoch === this.#epoch && lastSequence >= this.#sequence,
    });
    this.#expiryTimer = setInterval(() => this.#expireArrivals(), EXPIRE_EVERY_MS);
    this.#feed.start();
  }

  /** Resolves after the first attempt to read the history, even a failed one. */
  ready(): Promise<void> {
    return this.#feed.attempted;
  }

  /** Undefined without a history, and before it was read for the first time. */
  get position(): Position | undefined {
    return this.#epoch === undefined ? undefined : { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** Why durable publications are not delivered although there is a history; undefined when they are. */
  get stalled(): string | undefined {
    if (this.#epoch === undefined) return undefined;
    if (this.#feed.downMs > STALLED_MS) return "history cannot be read";
    const isHeld = this.#queue.head !== undefined && performance.now() - this.#headSince > STALLED_MS;
    return isHeld ? "a durable publication cannot be fetched" : undefined;
  }

  /** Milliseconds for which the history has not been read, or the first entry that waits has waited; 0 when all is delivered. */
  get lagMs(): number {
    const { head } = this.#queue;
    return Math.max(this.#feed.downMs, head === undefined ? 0 : performance.now() - head.queuedAt);
  }

  /** Number of entries that are not delivered yet. The first of them waits for its content. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Whether all subscriptions have received everything that is stored up to a position. */
  hasDelivered({ epoch, sequence }: Position): boolean {
    return this.#epoch === epoch && this.#sequence >= sequence;
  }

  /** Returns the place of a message in the history; undefined for a live publication. */
  placeOf(message: BusMessage): StoredPlace | undefined {
    return storedPlace(message, this.#parts.subjects.historyStream);
  }

  /** Takes the content of a stored publication. Order and duplicates do not matter. */
  receive({ sequence, subject }: StoredPlace, message: BusMessage): void {
    if (this.#epoch !== undefined && sequence <= this.#sequence) return;
    this.#neededAt = performance.now();
    this.#arrivals.add(sequence, subject, message);
    if (this.#queue.head?.sequence === sequence) this.#run();
    else if (this.#queue.size === 0) this.#feed.requestNow();
  }

  /** Must be called for each new subscription. It starts at the frontier, which should be close to the end of the history. */
  onSubscribe(): void {
    const now = performance.now();
    if (this.#feed.isPolling) this.#behindUntil = now + MAX_BEHIND_MS;
    this.#neededAt = now;
    this.#feed.requestNow();
  }

  /** True for a moment after polling, when the frontier may be behind the history. */
  get mayBeBehind(): boolean {
    return performance.now() < this.#behindUntil;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#expiryTimer);
    clearTimeout(this.#waitTimer);
    this.#feed.stop();
  }

  onEntry(
    entry: { readonly sequence: number; readonly subject: string; readonly bytes: number },
    previous: number,
  ): void {
    const { sequence, subject } = entry;
    const hasGap = sequence !== previous + 1;
    if (!hasGap && this.#queue.size === 0 && this.#parts.subscriptionsTo(subject).length === 0) {
      this.#advance(sequence);
      return;
    }
    this.#queue.push({
      ...entry,
      previous,
      queuedAt: performance.now(),
      isGapSettled: !hasGap,
      isMissing: false,
    });
    if (!this.#isPaused) this.#run();
  }

  hasRoom(): boolean {
    return this.#queue.size < MAX_QUEUED;
  }

  isPatient(): boolean {
    return this.#queue.size === 0 && performance.now() - this.#neededAt > PATIENT_AFTER_MS;
  }

  /** Takes the description of the history for which a consumer is created. Returns the sequence after which that starts. */
  #onState({ epoch, lastSequence }: HistoryState): number {
    if (this.#epoch === undefined) {
      // Content that has already arrived was published after the current subscriptions.
      this.#begin(epoch, Math.min(lastSequence, (this.#arrivals.lowest ?? Number.POSITIVE_INFINITY) - 1));
    } else if (this.#epoch !== epoch || lastSequence < this.#sequence) {
      this.#onOtherHistory(epoch, lastSequence);
    }
    this.#storedBefore = Math.max(this.#storedBefore, lastSequence);
    // The consumer starts at the frontier, so that queued entries are read again.
    this.#queue.clear();
    return this.#sequence;
  }

  /** The history was recreated, or restored to an older state, so that it does not hold what was delivered. */
  #onOtherHistory(epoch: string, lastSequence: number): void {
    const { log, counters, allSubscriptions, missed } = this.#parts;
    const before = this.position;
    const isRecreated = !isSameCreation(epoch, before?.epoch ?? "");
    if (isRecreated) log.warn({ epoch, before }, "history was recreated");
    else log.error({ epoch, lastSequence, before }, "history was restored to an older state");
    counters.historyRecreated++;
    this.#arrivals.clear();
    this.#begin(epoch, isRecreated ? 0 : lastSequence);
    if (isRecreated) return;
    // Publications stored after the restore have sequences that count as delivered.
    const all = [...allSubscriptions()];
    if (all.length > 0) missed(all);
  }

  #begin(epoch: string, sequence: number): void {
    this.#epoch = epoch;
    this.#sequence = sequence;
    this.#storedBefore = 0;
    this.#contents.reset();
  }

  #advance(sequence: number): void {
    this.#sequence = sequence;
    if (this.#arrivals.size > 0) this.#arrivals.drop(sequence);
  }

  /** Delivers queued entries in order, until one has to wait for its content. */
  #run(): void {
    if (this.#isRunning || this.#isPaused || this.#isStopped) return;
    this.#isRunning = true;
    const until = performance.now() + RUN_MS;
    let bytes = 0;
    for (let entry = this.#queue.head; entry !== undefined; entry = this.#queue.head) {
      const delivered = this.#process(entry);
      if (delivered === undefined) break;
      this.#queue.shift();
      this.#advance(entry.sequence);
      bytes += delivered;
      if (bytes > RUN_BYTES || performance.now() > until) {
        void this.#pause(entry.sequence < this.#storedBefore);
        break;
      }
    }
    this.#isRunning = false;
    if (this.hasRoom()) this.#feed.resume();
  }

  /** Processes one entry. Returns the number of content bytes delivered; undefined when the entry has to wait. */
  #process(entry: QueuedEntry): number | undefined {
    if (entry.sequence !== this.#headSequence) {
      this.#headSequence = entry.sequence;
      this.#headSince = performance.now();
    }
    if (!entry.isGapSettled) {
      void this.#settleGap(entry);
      return undefined;
    }
    const to = this.#parts.subscriptionsTo(entry.subject);
    if (to.length === 0) return 0;
    if (entry.isMissing) {
      this.#parts.missed(to);
      return 0;
    }
    const message = this.#arrivals.take(entry);
    if (message === undefined) {
      this.#await(entry, to);
      return undefined;
    }
    this.#neededAt = performance.now();
    this.#deliver(entry.sequence, to, message);
    return entry.bytes;
  }

  #deliver(sequence: number, to: readonly To[], message: BusMessage): void {
    const epoch = this.#epoch ?? "";
    const inOrder = to.length === 1 ? to : [...to].sort((one, other) => (one.tag < other.tag ? -1 : 1));
    for (const [at, each] of inOrder.entries()) {
      const hasLater = inOrder.slice(at + 1).some((later) => this.#parts.haveCommon(each, later));
      const resume = hasLater && { resume: formatPosition({ epoch, sequence: sequence - 1, copy: each.tag }) };
      try {
        this.#parts.deliver(each, message, { position: formatPosition({ epoch, sequence }), ...resume });
      } catch (error) {
        // One failed publication must not stop the next ones.
        this.#parts.log.error({ err: error, sequence }, "durable publication not delivered");
      }
    }
  }

  /** Lets other work run. After an outage, waits until connections have drained as well. */
  async #pause(isOutdated: boolean): Promise<void> {
    this.#isPaused = true;
    const giveUpAt = performance.now() + MAX_CONGESTED_MS;
    await new Promise(setImmediate);
    while (isOutdated && this.#parts.isCongested() && performance.now() < giveUpAt) await delay(CONGESTED_CHECK_MS);
    this.#isPaused = false;
    this.#run();
  }

  /** Waits a moment for content to be republished, unless that happened before this worker could receive it; then fetches it. */
  #await(entry: QueuedEntry, to: readonly To[]): void {
    const now = performance.now();
    const isFresh = to.every(({ begunAt }) => now - begunAt < FRESH_FOR_MS);
    const patience = entry.sequence <= this.#storedBefore ? 0 : isFresh ? FRESH_CONTENT_MS : CONTENT_MS;
    const dueInMs = entry.queuedAt + patience - now;
    if (dueInMs <= 0) {
      this.#fetchAhead();
      return;
    }
    clearTimeout(this.#waitTimer);
    this.#waitTimer = setTimeout(() => this.#run(), Math.ceil(dueInMs));
  }

  /** Fetches the content of the first entry, and of later ones whose content is late too. */
  #fetchAhead(): void {
    const before = performance.now() - FRESH_CONTENT_MS;
    let bytes = 0;
    for (const entry of this.#queue.upTo(MAX_QUEUED)) {
      bytes += entry.bytes;
      const isHead = entry === this.#queue.head;
      if (!isHead && (this.#contents.fetching >= MAX_FETCHES || bytes > MAX_FETCHED_BYTES)) return;
      const isLate = isHead || entry.sequence <= this.#storedBefore || entry.queuedAt < before;
      if (!isLate || entry.isMissing || this.#arrivals.has(entry.sequence) || this.#contents.isFetching(entry))
        continue;
      if (isHead || this.#parts.subscriptionsTo(entry.subject).length > 0) void this.#contents.fetch(entry);
    }
  }

  /** Publications before an entry are no longer stored. Reports the subscriptions that may have missed one of them. */
  async #settleGap(entry: QueuedEntry): Promise<void> {
    if (this.#isPaused) return;
    this.#isPaused = true;
    const { generation } = this.#contents;
    const { previous, sequence } = entry;
    try {
      const since = { epoch: this.#epoch ?? "", sequence: previous };
      const lost = await this.#lostSince(since, () => generation === this.#contents.generation && !this.#isStopped);
      if (generation !== this.#contents.generation || lost === undefined) return;
      const { subscriptionsTo, allSubscriptions, missed, log } = this.#parts;
      const to = lost === "all" ? [...allSubscriptions()] : [...new Set([...lost].flatMap(subscriptionsTo))];
      log.warn({ previous, sequence, subscriptions: to.length }, "history dropped publications before their delivery");
      if (to.length > 0) missed(to);
      entry.isGapSettled = true;
    } finally {
      this.#isPaused = false;
      this.#run();
    }
  }

  /** Returns the history subjects that may have lost publications after `since`; undefined once `isWanted` returns false. */
  async #lostSince(since: Position, isWanted: () => boolean): Promise<ReadonlySet<string> | "all" | undefined> {
    while (isWanted()) {
      const lost = await this.#parts.history.lostSubjects(since);
      if (lost.ok) return lost.subjects;
      await delay(RETRY_MS, undefined, { ref: false });
    }
    return undefined;
  }

  #expireArrivals(): void {
    this.#parts.counters.historyUnmatched += this.#arrivals.expire();
  }
}
