import { randomUUID } from "node:crypto";
import { type Bus, type BusMessage, type BusSubscription, parseJson } from "@fanwire/bus";
import {
  type ReportedKind,
  type Subjects,
  type TracedEvent,
  type TraceFilter,
  type TraceLease,
  traceLeaseReply,
  traceReport,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Failure } from "../failure.ts";

/** Workers forget a trace that is not renewed within this time. */
const LEASE_MS = 10_000;
/** Workers answer at once. After this time without a further reply all of them have answered. */
const STALL_MS = 250;
const MAX_WAIT_MS = 1_000;
/** No caller waits for the answers to a renewal, so busy workers have more time. */
const RENEWAL = { stallMs: 1_000, maxWaitMs: 2_000 };
/** Maximum workers whose reports are numbered. Reports of further ones count as left out. */
const MAX_WORKERS = 10_000;

type ReportsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly log: Log;
  readonly filter: TraceFilter;
  readonly kinds: readonly ReportedKind[];
  receive(event: TracedEvent): void;
  /** Called with the number of events that are missing; null if it is not known. */
  missed(events: number | null): void;
};

/** Asks all workers to report to one trace, and receives their reports. */
export class TraceReports {
  readonly #parts: ReportsParts;
  readonly #id = randomUUID().replaceAll("-", "");
  readonly #numbers = new Map<string, number>();
  /** Workers that have answered the last lease. */
  #reporting: readonly string[] = [];
  /** Workers that have announced their end, perhaps after they answered. */
  readonly #ended = new Set<string>();
  #subscription: BusSubscription | undefined;

  constructor(parts: ReportsParts) {
    this.#parts = parts;
  }

  /** Resolves when the workers that answer have begun to report. */
  async start(): Promise<{ readonly ok: true } | Failure> {
    const { bus, subjects } = this.#parts;
    this.#subscription = bus.subscribe(subjects.trace(this.#id), (message) => this.#onReport(message));
    const options = { stallMs: STALL_MS, maxWaitMs: MAX_WAIT_MS };
    const outcome = await bus.gather(subjects.traceLeases, this.#lease(LEASE_MS), options);
    if (!outcome.ok) return outcome;
    this.#reporting = [...workersIn(outcome.messages)];
    return { ok: true };
  }

  /**
   * Must be called every few seconds, and when a worker has started. A worker that answers no longer has crashed, hangs
   * or is cut off, so that its events may be missing.
   */
  async renew(): Promise<void> {
    const { bus, subjects, missed } = this.#parts;
    const outcome = await bus.gather(subjects.traceLeases, this.#lease(LEASE_MS), RENEWAL);
    if (!outcome.ok) return;
    const answered = workersIn(outcome.messages);
    const isOneMissing = this.#reporting.some((worker) => !answered.has(worker) && !this.#ended.has(worker));
    this.#reporting = [...answered];
    if (isOneMissing) missed(null);
  }

  /** Must be called when a worker has announced its end, after which it answers no longer. */
  ended(worker: string): void {
    if (this.#ended.size < MAX_WORKERS) this.#ended.add(worker);
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#parts.bus.send(this.#parts.subjects.traceLeases, this.#lease(0));
  }

  #lease(leaseMs: number): Uint8Array {
    const { filter, kinds } = this.#parts;
    const lease: TraceLease = { trace: this.#id, kinds: [...kinds], ...filter, leaseMs };
    return Buffer.from(JSON.stringify(lease));
  }

  #onReport(message: BusMessage): void {
    const { data: report, error } = traceReport.safeParse(parseJson(message));
    if (report === undefined) {
      this.#parts.log.warn({ err: error }, "invalid report of a trace");
      this.#parts.missed(null);
      return;
    }
    const { worker, number, skipped, events } = report;
    const isKnown = this.#numbers.has(worker) || this.#numbers.size < MAX_WORKERS;
    const isNext = number === (this.#numbers.get(worker) ?? 0) + 1;
    if (isKnown) this.#numbers.set(worker, number);
    if (!isNext) this.#parts.missed(null);
    if (skipped !== 0) this.#parts.missed(skipped);
    for (const event of events) this.#parts.receive(event);
  }
}

function workersIn(replies: readonly BusMessage[]): ReadonlySet<string> {
  return new Set(replies.flatMap((reply) => traceLeaseReply.safeParse(parseJson(reply)).data?.worker ?? []));
}
