import { setTimeout as delay } from "node:timers/promises";
import {
  type BusMessage,
  type EntryReceiver,
  isEarlierEpoch,
  isSameCreation,
  type StoredPlace,
  storedPlace,
} from "@fanwire/bus";
import { formatPosition, type HistoryState, type Position } from "@fanwire/protocol";
import { Arrivals } from "./arrivals.ts";
import { ContentFetcher, FRESH_CONTENT_MS } from "./content-fetcher.ts";
import { EarlyArrivals } from "./early-arrivals.ts";
import { EntryQueue, type QueuedEntry } from "./entry-queue.ts";
import { HistoryFeed } from "./feed.ts";
import type { FrontierParts, OrderedSubscription } from "./frontier-parts.ts";
import { reportGaps } from "./gaps.ts";

/** Maximum number of entries that wait for delivery. The worker requests no others meanwhile. */
const MAX_QUEUED = 2_000;
/** Content is fetched after this time. Usually it is republished at about the time at which its entry arrives. */
const CONTENT_MS = 500;
const FRESH_FOR_MS = 1_000;
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
const NOT_READY_AFTER_MS = 10_000;
/** A worker that delivers, but this late, is not ready either. Clients that read slowly delay it by less. */
const LATE_AFTER_MS = 30_000;

/**
 * Delivers each durable publication once and in stream order to the subscriptions of this worker. The frontier is the
 * sequence up to which the worker has processed all of the history. It is the position of every live connection. One
 * consumer delivers the entries in order. Their content is republished, or fetched.
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
  /** Arrivals from before the history was read for the first time. */
  readonly #early: EarlyArrivals;
  /** The lowest true sequence among these. */
  #unreadFrom = Number.POSITIVE_INFINITY;
  #neededAt = Number.NEGATIVE_INFINITY;
  #behindUntil = Number.NEGATIVE_INFINITY;
  #waitTimer: NodeJS.Timeout | undefined;
  /** The history was restored, and connections with a position in the former one are being closed. */
  #isRestored = false;
  #isRunning = false;
  #isPaused = false;
  #headSince = 0;
  #headSequence = 0;
  #isStopped = false;

  constructor(parts: FrontierParts<To>) {
    this.#parts = parts;
    this.#arrivals = new Arrivals(parts.budget);
    this.#early = new EarlyArrivals(parts);
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
      prepare: (history) => this.#prepare(history),
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
    // A worker of live publications alone may have no right to read the history.
    const isNeeded = this.#epoch !== undefined || !this.#early.isEmpty;
    if (isNeeded && this.#feed.downMs > NOT_READY_AFTER_MS) return "history cannot be read";
    const { head } = this.#queue;
    if (head === undefined) return undefined;
    const now = performance.now();
    if (now - this.#headSince > NOT_READY_AFTER_MS) return "a durable publication cannot be fetched";
    return now - head.queuedAt > LATE_AFTER_MS ? "durable publications are delivered late" : undefined;
  }

  /**
   * Milliseconds for which the history has not been read, or the first entry that waits has waited; 0 when all is
   * delivered.
   */
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
    if (this.#epoch === undefined) this.#early.note({ sequence, subject });
    else if (sequence <= this.#sequence) return;
    this.#neededAt = performance.now();
    this.#arrivals.add(sequence, subject, message);
    if (this.#queue.head?.sequence === sequence) this.#run();
    else if (this.#queue.size === 0) this.#feed.requestNow();
  }

  /**
   * Must be called for each new subscription. It starts at the frontier, which should be close to the end of the
   * history.
   */
  onSubscribe(): void {
    const now = performance.now();
    if (this.#feed.isPolling) this.#behindUntil = now + MAX_BEHIND_MS;
    this.#neededAt = now;
    this.#feed.requestNow();
  }

  /** True for a moment after a subscription during polling, because the frontier may be behind the history. */
  get mayBeBehind(): boolean {
    return performance.now() < this.#behindUntil;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#expiryTimer);
    clearTimeout(this.#waitTimer);
    this.#feed.stop();
  }

  onEntry(entry: { readonly sequence: number; readonly subject: string; readonly bytes: number }): void {
    const { sequence, subject } = entry;
    const isNext = this.#queue.size === 0 && sequence === this.#sequence + 1;
    if (isNext && this.#parts.subscriptionsTo(subject).length === 0) {
      this.#advance(sequence);
      return;
    }
    const isNew = { isGapReported: false, isMissing: false, queuedAt: performance.now() };
    this.#queue.push({ ...entry, ...isNew, droppedUpTo: sequence - 1 });
    // Behind another entry it has to wait, whatever that one waits for.
    if (!this.#isPaused && this.#queue.size === 1) this.#run();
  }

  hasRoom(): boolean {
    return this.#queue.size < MAX_QUEUED;
  }

  isPatient(): boolean {
    return this.#queue.size === 0 && performance.now() - this.#neededAt > PATIENT_AFTER_MS;
  }

  /** Returns false if the history cannot be read. */
  async #prepare({ lastSequence }: HistoryState): Promise<boolean> {
    if (this.#epoch !== undefined || !this.#parts.hasConnections()) return true;
    const lowest = await this.#early.lowest(lastSequence);
    this.#unreadFrom = lowest ?? Number.POSITIVE_INFINITY;
    return lowest !== undefined;
  }

  /**
   * Takes the description of the history for which a consumer is created. Returns the sequence after which that starts;
   * undefined while connections are closed after a restore.
   */
  #onState({ epoch, firstSequence, lastSequence }: HistoryState): number | undefined {
    if (this.#isRestored) return undefined;
    if (this.#epoch === undefined) {
      // Connections must receive content that has arrived since they subscribed, even if it is dropped by now. Without
      // any, later ones must not receive it.
      const unreadFrom = this.#parts.hasConnections() ? this.#unreadFrom : Number.POSITIVE_INFINITY;
      this.#begin(epoch, Math.min(lastSequence, unreadFrom - 1));
    } else if (this.#epoch !== epoch || lastSequence < this.#sequence) {
      this.#onOtherHistory(epoch, lastSequence);
      if (this.#isRestored) return undefined;
    }
    this.#storedBefore = Math.max(this.#storedBefore, lastSequence);
    // The consumer starts at the frontier, so that queued entries are read again.
    this.#queue.clear();
    const isEmpty = firstSequence > lastSequence;
    if (isEmpty && lastSequence > this.#sequence) this.#queueEmptyEnd(lastSequence);
    return this.#sequence;
  }

  /**
   * No entry will show that the history dropped everything up to its end, so an entry without subscriptions shows it.
   */
  #queueEmptyEnd(sequence: number): void {
    const ofNobody = { subject: "", bytes: 0, isGapReported: false, isMissing: false };
    this.#queue.push({ ...ofNobody, sequence, droppedUpTo: sequence, queuedAt: performance.now() });
    this.#run();
  }

  /** The history was recreated, or restored to an older state, so that it does not hold what was delivered. */
  #onOtherHistory(epoch: string, lastSequence: number): void {
    const { log, counters } = this.#parts;
    const before = this.position;
    const isRecreated = !isSameCreation(epoch, before?.epoch ?? "");
    if (isRecreated) log.warn({ epoch, before }, "history was recreated");
    else log.error({ epoch, lastSequence, before }, "history was restored to an older state");
    counters.historyRecreated++;
    this.#arrivals.clear();
    this.#queue.clear();
    if (isRecreated) this.#begin(epoch, 0);
    else void this.#onRestored(epoch, lastSequence);
  }

  /** Publications stored after a restore have sequences that count as delivered, so its subscribers must resume. */
  async #onRestored(epoch: string, lastSequence: number): Promise<void> {
    this.#isRestored = true;
    try {
      await this.#parts.restored();
      this.#begin(epoch, lastSequence);
    } catch (error) {
      this.#parts.log.error({ err: error }, "connections not closed after a restore");
    } finally {
      this.#isRestored = false;
    }
  }

  #begin(epoch: string, sequence: number): void {
    this.#epoch = epoch;
    this.#sequence = sequence;
    this.#storedBefore = 0;
    this.#contents.reset();
  }

  /** Marks everything up to a sequence as processed. The frontier never moves back. */
  #advance(sequence: number): void {
    if (sequence <= this.#sequence) return;
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
        void this.#pause(this.#rest(entry.sequence < this.#storedBefore));
        break;
      }
    }
    this.#isRunning = false;
    if (this.hasRoom()) this.#feed.resume();
  }

  /** Processes one entry. Returns the number of content bytes delivered; undefined when the entry has to wait. */
  #process(entry: QueuedEntry): number | undefined {
    // `#skipMissing` has processed it, or it marks the end of a history that dropped everything.
    if (entry.sequence <= this.#sequence) return 0;
    if (entry.sequence !== this.#headSequence) {
      this.#headSequence = entry.sequence;
      this.#headSince = performance.now();
    }
    if (entry.droppedUpTo > this.#sequence && !entry.isGapReported) {
      void this.#pause(this.#reportGaps(entry));
      return undefined;
    }
    this.#advance(entry.droppedUpTo);
    const to = this.#parts.subscriptionsTo(entry.subject);
    if (to.length === 0) return 0;
    if (entry.isMissing) {
      void this.#pause(this.#skipMissing(entry, to));
      return undefined;
    }
    const message = this.#arrivals.take(entry);
    if (message === undefined) {
      this.#waitOrFetch(entry, to);
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
  async #rest(isOutdated: boolean): Promise<void> {
    const giveUpAt = performance.now() + MAX_CONGESTED_MS;
    await new Promise(setImmediate);
    while (isOutdated && this.#parts.isCongested() && performance.now() < giveUpAt) await delay(CONGESTED_CHECK_MS);
  }

  /** Fetches content that was not republished in time. Does not wait for content from before this worker subscribed. */
  #waitOrFetch(entry: QueuedEntry, to: readonly To[]): void {
    const now = performance.now();
    const isFresh = to.every(({ begunAt }) => now - begunAt < FRESH_FOR_MS);
    const patience = entry.sequence <= this.#storedBefore ? 0 : isFresh ? FRESH_CONTENT_MS : CONTENT_MS;
    const dueInMs = entry.queuedAt + patience - now;
    if (dueInMs <= 0) {
      const isNeeded = ({ subject }: QueuedEntry) => this.#parts.subscriptionsTo(subject).length > 0;
      this.#contents.fetchAhead(this.#queue.all(), this.#storedBefore, isNeeded);
      return;
    }
    clearTimeout(this.#waitTimer);
    this.#waitTimer = setTimeout(() => this.#run(), Math.ceil(dueInMs));
  }

  /**
   * Publications before the first entry are no longer stored, and perhaps others before later entries. Reports the
   * subscriptions that may have missed one of them.
   */
  async #reportGaps(first: QueuedEntry): Promise<void> {
    const since = { epoch: this.#epoch ?? "", sequence: this.#sequence };
    // If its consumer has ended, another one reads the entries again, and their gaps are reported then.
    const isWanted = () => this.#queue.head === first && !this.#isStopped;
    if (!(await reportGaps(this.#parts, since, [...this.#queue.all()], isWanted))) return;
    // Advances even if the consumer has ended, so that the next one does not report the gap again.
    if (this.#epoch === since.epoch) this.#advance(first.droppedUpTo);
  }

  /** The content of an entry is no longer stored. Reports the subscriptions that miss it. */
  async #skipMissing(entry: QueuedEntry, to: readonly To[]): Promise<void> {
    const epoch = this.#epoch;
    await this.#parts.missed(to);
    // Advances even if the consumer has ended, so that the next one does not report the entry as a gap.
    if (this.#epoch === epoch) this.#advance(entry.sequence);
  }

  /** Delivers nothing until the work is done. */
  async #pause(work: Promise<void>): Promise<void> {
    this.#isPaused = true;
    await work.finally(() => {
      this.#isPaused = false;
      this.#run();
    });
  }

  #expireArrivals(): void {
    const expired = this.#arrivals.expire();
    // While the history cannot be read, their entries may still follow.
    if (this.#feed.downMs === 0) this.#parts.counters.historyUnmatched += expired;
  }
}
