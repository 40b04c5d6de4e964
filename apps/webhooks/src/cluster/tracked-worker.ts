import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "@fanwire/bus";
import {
  type ClusterEvent,
  parseSnapshotPage,
  type ReportedFact,
  type SnapshotPage,
  type SnapshotRequest,
  type Subjects,
  type WorkerReport,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { applyFact, type Contribution, newContribution, type Union } from "./union.ts";

const PAGE_TIMEOUT_MS = 2_000;
const RETRY_MS = 500;
/** Maximum facts that wait while a snapshot is read. Above it the snapshot is requested again. */
const MAX_WAITING_FACTS = 200_000;

export type TrackedWorkerParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly union: Union;
  /** Number of the last event of each worker that was processed. */
  readonly lastEvents: Map<string, number>;
  /** Called with each event of a worker, in the order of their numbers. */
  onEvent(worker: string, number: number, event: ClusterEvent): void;
  /** Called when a snapshot has to be read, because the worker is new or a report was lost. */
  onSnapshot(): void;
  readonly log: Log;
};

/** One worker, as its reports show it. A lost report is noticed by its number, and a snapshot replaces it. */
export class TrackedWorker {
  readonly id: string;
  seenAt = performance.now();
  readonly #parts: TrackedWorkerParts;
  #number = 0;
  /** Reports that arrived while a snapshot is read; undefined while none is. */
  #waiting: WorkerReport[] | undefined;
  #waitingFacts = 0;
  #isKnown = false;
  #isStopped = false;
  /** Reading and removing, one after the other. */
  #work: Promise<void>;

  /** @param removed resolves when an earlier object for the same worker has removed its part from the union. */
  constructor(id: string, parts: TrackedWorkerParts, removed: Promise<void> = Promise.resolve()) {
    this.id = id;
    this.#parts = parts;
    this.#work = removed;
    this.#readSnapshot();
  }

  /** Whether its state has been read. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  receive(report: WorkerReport): void {
    this.seenAt = performance.now();
    if (this.#waiting !== undefined) {
      this.#keep(report);
      return;
    }
    const isHeartbeat = report.facts.length === 0;
    if (!isHeartbeat && report.number === this.#number + 1) {
      this.#number = report.number;
      for (const fact of report.facts) this.#apply(fact);
    } else if (report.number > this.#number) {
      this.#readSnapshot();
      this.#keep(report);
    }
  }

  /** Removes the part of the worker from the union. */
  async remove(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
    // A worker that has ended answers no requests, so these are the last chance for its events.
    for (const { facts } of this.#waiting ?? []) for (const fact of facts) if (fact[0] === "event") this.#apply(fact);
    await this.#parts.union.remove(this.id);
  }

  stop(): void {
    this.#isStopped = true;
  }

  #keep(report: WorkerReport): void {
    if (report.facts.length === 0) return;
    this.#waitingFacts += report.facts.length;
    // The gap that this leaves makes the snapshot be read again.
    if (this.#waitingFacts <= MAX_WAITING_FACTS) this.#waiting?.push(report);
  }

  #apply(fact: ReportedFact): void {
    const { union, lastEvents, onEvent } = this.#parts;
    if (fact[0] !== "event") union.apply(this.id, fact);
    else if (fact[1] > (lastEvents.get(this.id) ?? 0)) {
      lastEvents.set(this.id, fact[1]);
      onEvent(this.id, fact[1], fact[2]);
    }
  }

  #readSnapshot(): void {
    this.#waiting = [];
    this.#waitingFacts = 0;
    this.#parts.onSnapshot();
    this.#work = this.#work.then(() => this.#readUntilKnown());
  }

  async #readUntilKnown(): Promise<void> {
    while (!this.#isStopped) {
      if (await this.#tryToRead()) return;
      if (this.#isStopped) return;
      this.#parts.log.warn({ worker: this.id }, "snapshot of a worker unavailable, retrying");
      this.#waiting = [];
      this.#waitingFacts = 0;
      await delay(RETRY_MS);
    }
  }

  async #tryToRead(): Promise<boolean> {
    const contribution = newContribution();
    const events: ReportedFact[] = [];
    const number = await this.#readPages(contribution, events);
    if (number === undefined || this.#isStopped) return false;
    await this.#parts.union.replace(this.id, contribution);
    for (const event of events) this.#apply(event);
    this.#number = number;
    const waiting = this.#waiting ?? [];
    const isDropped = this.#waitingFacts > MAX_WAITING_FACTS;
    this.#waiting = undefined;
    this.#isKnown = true;
    if (isDropped) return false;
    // A gap among these begins the next snapshot.
    for (const report of waiting) this.receive(report);
    return true;
  }

  /** Returns the number of the report that the snapshot begins with; undefined when it could not be read. */
  async #readPages(contribution: Contribution, events: ReportedFact[]): Promise<number | undefined> {
    let request: SnapshotRequest = {};
    for (;;) {
      const page = await this.#request(request);
      if (page === undefined || this.#isStopped) return undefined;
      for (const fact of page.facts) {
        if (fact[0] === "event") events.push(fact);
        else applyFact(contribution, fact);
      }
      if (page.next === undefined) return page.number;
      request = { id: page.id, from: page.next };
    }
  }

  async #request(request: SnapshotRequest): Promise<SnapshotPage | undefined> {
    const { bus, subjects } = this.#parts;
    const outcome = await bus.request(subjects.snapshots(this.id), Buffer.from(JSON.stringify(request)), {
      timeoutMs: PAGE_TIMEOUT_MS,
    });
    if (!outcome.ok) return undefined;
    const page = parseSnapshotPage(Buffer.from(outcome.message.data).toString());
    return page?.worker === this.id ? page : undefined;
  }
}
