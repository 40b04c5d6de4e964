import type { Bus, BusMessage, BusSubscription, SendOutcome } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { SlicedWork } from "../../pacing/sliced-work.ts";
import { encodeCountReport, parseCountReport } from "../../wire/count-report.ts";

const REPORT_EVERY_MS = 100;
/** Maximum keys of one report. The rest follows in the next one. */
const MAX_REPORTED = 1_000;
const HEARTBEAT_MS = 1_000;
/** The counts of a worker that is silent for this time are dropped, as its members are. */
const SILENT_MS = 5_000;
/** A heartbeat later than this shows that this process was stopped. */
const STOPPED_MS = 1_000;
/**
 * Maximum changed keys that are reported in one event-loop tick. After a reconnection all watched keys may have
 * changed.
 */
const MAX_CHANGED = 5_000;
/** Time that other workers have to answer, which report every tenth of a second. */
const ANSWER_MS = 300;

/** Another worker, while none of its reports is missing. */
type Peer = {
  /** Number of its last report. Undefined for a worker of an earlier release. */
  number: number | undefined;
  receivedAt: number;
  /** Whether its counts must be dropped, because it was silent, has ended, or a report of it is missing. */
  isForgotten: boolean;
};

/** A key that this worker watches. */
type Watched = {
  /** Undefined until the first count, because most keys have none. */
  counts: Map<Peer, number> | undefined;
  /** When the other workers were asked last. */
  askedAt: number;
};

type Count = readonly [key: string, count: number];

type CountsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Called with watched keys whose totals are known, and may have changed or were not known before. */
  changed(keys: ReadonlySet<string>): void;
};

/**
 * Counts of the whole cluster by key: each worker reports its own when they change, and keeps those of others for the
 * keys that it watches. Reports are batched, so that their number does not depend on the number of changes. They are
 * numbered, so that a worker that misses one asks again.
 */
export class ClusterCounts {
  readonly #parts: CountsParts;
  readonly #own = new Map<string, number>();
  readonly #watched = new Map<string, Watched>();
  readonly #unreported = new Set<string>();
  /** Those of them that are in the next message. */
  readonly #urgent = new Set<string>();
  /** Keys that others have asked for. They are reported first, because the others wait for {@link ANSWER_MS} only. */
  readonly #wanted = new Set<string>();
  readonly #unasked = new Set<string>();
  /** Questions that the other workers still have time to answer. */
  readonly #asked = new Set<{ readonly keys: readonly string[]; readonly at: number }>();
  readonly #changed = new Set<string>();
  readonly #peers = new Map<string, Peer>();
  readonly #work = new SlicedWork();
  readonly #subscription: BusSubscription;
  readonly #heartbeat: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  /** Answers to earlier questions do not count, because reports after them may be lost. */
  #askedAgainAt = Number.NEGATIVE_INFINITY;
  /** Number of the last report. */
  #number = 0;
  #beatAt = performance.now();

  constructor(parts: CountsParts) {
    this.#parts = parts;
    const { bus, subjects } = parts;
    this.#subscription = bus.subscribe(subjects.pusherCounts, (message) => this.#receive(message));
    bus.onConnection((isConnected) => {
      if (isConnected) this.#onReconnect();
    });
    this.#heartbeat = setInterval(() => this.#onHeartbeat(), HEARTBEAT_MS);
  }

  stop(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timer);
    this.#subscription.unsubscribe();
    // Ends sliced work.
    this.#watched.clear();
    this.#send({ counts: [], asks: [], isLast: true });
  }

  /**
   * Sets the count of this worker. An urgent count is in the next message, also in a heartbeat, so that it is known to all
   * others that receive something later. Must be used for few keys.
   */
  set(key: string, count: number, { isUrgent = false } = {}): void {
    if ((this.#own.get(key) ?? 0) === count) return;
    if (count === 0) this.#own.delete(key);
    else this.#own.set(key, count);
    (isUrgent ? this.#urgent : this.#unreported).add(key);
    if (this.#watched.has(key)) this.#changed.add(key);
    this.#schedule();
  }

  /** Asks for the counts of the other workers, which arrive within a moment. */
  watch(key: string): void {
    if (this.#watched.has(key)) return;
    this.#watched.set(key, { counts: undefined, askedAt: Number.NEGATIVE_INFINITY });
    this.#unasked.add(key);
    this.#schedule();
  }

  unwatch(key: string): void {
    this.#watched.delete(key);
    this.#unasked.delete(key);
    this.#changed.delete(key);
  }

  /** Returns the count of all workers, as far as it is known here. */
  total(key: string): number {
    let total = this.#own.get(key) ?? 0;
    for (const [peer, count] of this.#watched.get(key)?.counts ?? []) if (!peer.isForgotten) total += count;
    return total;
  }

  /** Whether the other workers had time to report their counts of a watched key. */
  isKnown(key: string): boolean {
    const { askedAt = Number.NEGATIVE_INFINITY } = this.#watched.get(key) ?? {};
    return askedAt > this.#askedAgainAt && askedAt <= performance.now() - ANSWER_MS;
  }

  /**
   * Whether all other workers that have a count have sent something since a time of `performance.now()`. Urgent counts
   * are those of a later time then.
   */
  isKnownSince(key: string, time: number): boolean {
    for (const peer of this.#watched.get(key)?.counts?.keys() ?? []) {
      if (!peer.isForgotten && peer.receivedAt < time) return false;
    }
    return true;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), REPORT_EVERY_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const reported = take(this.#urgent, MAX_REPORTED);
    reported.push(...take(this.#wanted, MAX_REPORTED - reported.length));
    reported.push(...take(this.#unreported, MAX_REPORTED - reported.length));
    const asks = take(this.#unasked, MAX_REPORTED);
    if (reported.length + asks.length > 0) {
      if (this.#sendParts(this.#countsOf(reported), asks)) this.#noteAsked(asks);
      // The others will ask for counts, because a number is missing.
      else for (const key of asks) this.#unasked.add(key);
    }
    this.#noteAnswered();
    const changed = take(this.#changed, MAX_CHANGED).filter((key) => this.isKnown(key));
    if (changed.length > 0) this.#parts.changed(new Set(changed));
    const waiting = [this.#urgent, this.#wanted, this.#unreported, this.#unasked, this.#asked, this.#changed];
    if (waiting.some(({ size }) => size > 0)) this.#schedule();
  }

  #countsOf(keys: readonly string[]): Count[] {
    return keys.map((key) => [key, this.#own.get(key) ?? 0]);
  }

  #noteAsked(keys: readonly string[]): void {
    if (keys.length === 0) return;
    const at = performance.now();
    for (const key of keys) {
      const watched = this.#watched.get(key);
      if (watched) watched.askedAt = at;
    }
    this.#asked.add({ keys, at });
  }

  #noteAnswered(): void {
    const answeredAt = performance.now() - ANSWER_MS;
    for (const questions of this.#asked) {
      if (questions.at > answeredAt) break;
      this.#asked.delete(questions);
      for (const key of questions.keys) this.#changed.add(key);
    }
  }

  /** Sends a report in several parts if NATS has a small `max_payload`. Returns false if some part was not sent. */
  #sendParts(counts: readonly Count[], asks: readonly string[]): boolean {
    const outcome = this.#send({ counts, asks, isLast: false });
    if (outcome !== "too-large" || counts.length + asks.length < 2) return outcome === "sent";
    if (counts.length > 0 && asks.length > 0) return this.#sendParts(counts, []) && this.#sendParts([], asks);
    const half = Math.ceil((counts.length + asks.length) / 2);
    return (
      this.#sendParts(counts.slice(0, half), asks.slice(0, half)) &&
      this.#sendParts(counts.slice(half), asks.slice(half))
    );
  }

  #send(report: {
    readonly counts: readonly Count[];
    readonly asks: readonly string[];
    readonly isLast: boolean;
  }): SendOutcome {
    const { bus, subjects, workerId } = this.#parts;
    const content = encodeCountReport({ worker: workerId, number: this.#number + 1, ...report });
    const outcome = bus.send(subjects.pusherCounts, Buffer.from(content));
    // A report that is too large is sent again in parts.
    if (outcome !== "too-large") this.#number++;
    return outcome;
  }

  #receive(message: BusMessage): void {
    const report = parseCountReport(Buffer.from(message.data).toString());
    if (report === undefined || report.worker === this.#parts.workerId) return;
    const { worker, number, counts, asks, isLast } = report;
    const isGap = this.#isGap(worker, number);
    if (isGap || isLast) this.#forget(worker);
    if (isLast) return;
    if (isGap) this.#askAgain();
    const peer = this.#peers.get(worker) ?? { number, receivedAt: 0, isForgotten: false };
    this.#peers.set(worker, peer);
    peer.number = number;
    peer.receivedAt = performance.now();
    for (const [key, count] of counts) this.#note(peer, key, count);
    for (const key of asks) if (this.#own.has(key)) this.#wanted.add(key);
    if (this.#wanted.size > 0) this.#schedule();
  }

  /** Whether earlier reports of a worker are missing here. The first one has the number 1. */
  #isGap(worker: string, number: number | undefined): boolean {
    const peer = this.#peers.get(worker);
    return number === undefined ? peer === undefined : number !== (peer?.number ?? 0) + 1;
  }

  #note(peer: Peer, key: string, count: number): void {
    const watched = this.#watched.get(key);
    if (watched === undefined || (watched.counts?.get(peer) ?? 0) === count) return;
    watched.counts ??= new Map();
    if (count === 0) watched.counts.delete(peer);
    else watched.counts.set(peer, count);
    if (watched.counts.size === 0) watched.counts = undefined;
    this.#changed.add(key);
    this.#schedule();
  }

  #onHeartbeat(): void {
    const now = performance.now();
    const lateMs = now - this.#beatAt - HEARTBEAT_MS;
    this.#beatAt = now;
    // This worker has not read yet what others have sent meanwhile.
    const deadline = now - SILENT_MS - (lateMs > STOPPED_MS ? lateMs : 0);
    for (const [worker, { receivedAt }] of this.#peers) if (receivedAt < deadline) this.#forget(worker);
    this.#sendParts(this.#countsOf(take(this.#urgent, MAX_REPORTED)), []);
  }

  /** Asks for everything again, because reports or questions may be lost. Until the answers nothing is known. */
  #askAgain(): void {
    this.#askedAgainAt = performance.now();
    this.#work.add(this.#askForEach());
  }

  *#askForEach(): Iterable<void> {
    for (const key of this.#watched.keys()) {
      this.#unasked.add(key);
      this.#schedule();
      yield;
    }
  }

  #forget(worker: string): void {
    const peer = this.#peers.get(worker);
    if (peer === undefined) return;
    this.#peers.delete(worker);
    peer.isForgotten = true;
    this.#work.add(this.#dropEach(peer));
  }

  *#dropEach(peer: Peer): Iterable<void> {
    for (const key of this.#watched.keys()) {
      this.#note(peer, key, 0);
      yield;
    }
  }

  /** Questions may be lost. Missing numbers show whether reports are. */
  #onReconnect(): void {
    // Workers of an earlier release neither number their reports nor notice that one of this worker is missing.
    const unnumbered = [...this.#peers].filter(([, { number }]) => number === undefined);
    for (const [worker] of unnumbered) this.#forget(worker);
    if (unnumbered.length > 0) for (const key of this.#own.keys()) this.#unreported.add(key);
    this.#askAgain();
  }
}

function take(keys: Set<string>, count: number): string[] {
  const taken: string[] = [];
  for (const key of keys) {
    if (taken.length >= count) break;
    taken.push(key);
    keys.delete(key);
  }
  return taken;
}
