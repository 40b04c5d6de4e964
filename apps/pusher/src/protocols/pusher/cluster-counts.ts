import type { Bus, BusMessage, BusSubscription, SendOutcome } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import { encodeCountReport, parseCountReport } from "../../wire/count-report.ts";

const REPORT_EVERY_MS = 100;
/** Maximum keys of one report. The rest follows in the next one. */
const MAX_REPORTED = 1_000;
const HEARTBEAT_MS = 1_000;
/** The counts of a worker that is silent for this time are dropped, as its members are. */
const SILENT_MS = 5_000;
/** A heartbeat later than this shows that this process was stopped. */
const STOPPED_MS = 1_000;
/** Maximum changed keys that are reported in one event-loop tick. After a reconnection all watched keys may have changed. */
const MAX_CHANGED = 5_000;
/** Maximum number of silent workers that are remembered. */
const MAX_SILENT = 1_000;
/** Time that other workers have to repeat their counts after a reconnection. Until then changes are not reported. */
const SETTLE_MS = 1_000;

type Count = readonly [key: string, count: number];

type CountsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Called with watched keys whose totals may have changed. */
  changed(keys: ReadonlySet<string>): void;
};

/**
 * Counts of the whole cluster by key: each worker reports its own when they change, and keeps those of others for the keys that it
 * watches. Reports are batched, so that their number does not depend on the number of changes.
 */
export class ClusterCounts {
  readonly #parts: CountsParts;
  readonly #own = new Map<string, number>();
  /** For each watched key, the counts of other workers. Created with the first count, because most keys have none. */
  readonly #watched = new Map<string, Map<string, number> | undefined>();
  readonly #unreported = new Set<string>();
  readonly #unasked = new Set<string>();
  readonly #changed = new Set<string>();
  readonly #receivedAt = new Map<string, number>();
  /** Workers whose counts were dropped because they were silent. One that was only stopped for a while comes back. */
  readonly #silent = new Set<string>();
  readonly #subscription: BusSubscription;
  readonly #heartbeat: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #settlesAt = 0;
  #beatAt = performance.now();

  constructor(parts: CountsParts) {
    this.#parts = parts;
    const { bus, subjects } = parts;
    this.#subscription = bus.subscribe(subjects.pusherCounts, (message) => this.#receive(message));
    bus.onConnection((isConnected) => {
      if (isConnected) this.#repeat();
    });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  stop(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timer);
    this.#subscription.unsubscribe();
    this.#send({ counts: [], asks: [], isLast: true });
  }

  /** Sets the count of this worker. */
  set(key: string, count: number): void {
    if ((this.#own.get(key) ?? 0) === count) return;
    if (count === 0) this.#own.delete(key);
    else this.#own.set(key, count);
    this.#unreported.add(key);
    if (this.#watched.has(key)) this.#changed.add(key);
    this.#schedule();
  }

  /** Asks for the counts of the other workers, which arrive within a moment. */
  watch(key: string): void {
    if (this.#watched.has(key)) return;
    this.#watched.set(key, undefined);
    this.#unasked.add(key);
    this.#changed.add(key);
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
    for (const count of this.#watched.get(key)?.values() ?? []) total += count;
    return total;
  }

  /** Whether all other workers that have a count have sent something since a time of `performance.now()`. */
  isKnownSince(key: string, time: number): boolean {
    for (const worker of this.#watched.get(key)?.keys() ?? []) {
      if ((this.#receivedAt.get(worker) ?? 0) < time) return false;
    }
    return true;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), REPORT_EVERY_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const reported = take(this.#unreported, MAX_REPORTED);
    const asks = take(this.#unasked, MAX_REPORTED);
    if (reported.length + asks.length > 0) {
      const counts = reported.map((key) => [key, this.#own.get(key) ?? 0] as const);
      if (!this.#sendParts(counts, asks)) {
        // Everything is repeated after the reconnection.
        this.#unreported.clear();
        this.#unasked.clear();
      }
    }
    if (this.#changed.size > 0 && performance.now() >= this.#settlesAt) {
      this.#parts.changed(new Set(take(this.#changed, MAX_CHANGED)));
    }
    if (this.#unreported.size + this.#unasked.size + this.#changed.size > 0) this.#schedule();
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
    const content = encodeCountReport({ worker: workerId, ...report });
    return bus.send(subjects.pusherCounts, Buffer.from(content));
  }

  #receive(message: BusMessage): void {
    const report = parseCountReport(Buffer.from(message.data).toString());
    if (report === undefined || report.worker === this.#parts.workerId) return;
    const { worker, counts, asks, isLast } = report;
    if (isLast) {
      this.#silent.delete(worker);
      this.#forget(worker);
      return;
    }
    this.#receivedAt.set(worker, performance.now());
    // It reports changes only, and does not know that its counts were dropped.
    if (this.#silent.delete(worker)) this.#askAgain();
    for (const [key, count] of counts) this.#note(worker, key, count);
    for (const key of asks) if (this.#own.has(key)) this.#unreported.add(key);
    if (this.#unreported.size + this.#changed.size > 0) this.#schedule();
  }

  #note(worker: string, key: string, count: number): void {
    if (!this.#watched.has(key)) return;
    const others = this.#watched.get(key) ?? new Map<string, number>();
    if ((others.get(worker) ?? 0) === count) return;
    if (count === 0) others.delete(worker);
    else others.set(worker, count);
    this.#watched.set(key, others.size === 0 ? undefined : others);
    this.#changed.add(key);
  }

  #beat(): void {
    const now = performance.now();
    const lateMs = now - this.#beatAt - HEARTBEAT_MS;
    this.#beatAt = now;
    // This worker has not read yet what others have sent meanwhile.
    const deadline = now - SILENT_MS - (lateMs > STOPPED_MS ? lateMs : 0);
    for (const [worker, receivedAt] of this.#receivedAt) {
      if (receivedAt >= deadline) continue;
      this.#forget(worker);
      this.#silent.add(worker);
    }
    for (const oldest of this.#silent) {
      if (this.#silent.size <= MAX_SILENT) break;
      this.#silent.delete(oldest);
    }
    this.#send({ counts: [], asks: [], isLast: false });
  }

  #askAgain(): void {
    for (const key of this.#watched.keys()) this.#unasked.add(key);
    this.#schedule();
  }

  #forget(worker: string): void {
    if (!this.#receivedAt.delete(worker)) return;
    for (const key of this.#watched.keys()) this.#note(worker, key, 0);
    if (this.#changed.size > 0) this.#schedule();
  }

  /** Both sides may have missed changes while this worker was disconnected. */
  #repeat(): void {
    this.#settlesAt = performance.now() + SETTLE_MS;
    for (const key of this.#own.keys()) this.#unreported.add(key);
    for (const [key, others] of this.#watched) {
      if (others !== undefined) this.#changed.add(key);
      this.#watched.set(key, undefined);
      this.#unasked.add(key);
    }
    this.#schedule();
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
