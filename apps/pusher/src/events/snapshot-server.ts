import { randomUUID } from "node:crypto";
import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import { parseSnapshotRequest, type SnapshotRequest } from "@fanwire/protocol";
import { sizeLimits } from "./size-limits.ts";

/** A snapshot of which no page was requested for this time is dropped. */
const UNUSED_MS = 30_000;
/** Maximum number of snapshots at the same time: one for each webhook sender. A further one evicts the oldest. */
const MAX_SNAPSHOTS = 8;

type SnapshotServerParts = {
  readonly bus: Bus;
  readonly subject: string;
  readonly workerId: string;
  /** Returns the number of a report that has everything that happened before. */
  numberNow(): number;
  /** Returns all facts in JSON. */
  facts(): Generator<string>;
};

type Snapshot = {
  readonly id: string;
  readonly number: number;
  readonly facts: Iterator<string>;
  /** The first fact of the last page. */
  from: number;
  /** Number of facts on all pages so far. */
  count: number;
  /** The last page, for a request that is repeated because its reply was lost. */
  page: string;
  usedAt: number;
};

/**
 * Answers requests for the state of this worker in pages. The pages need not be of one moment: a fact that changes
 * meanwhile is in a report after `number`, which the reader applies afterwards.
 */
export class SnapshotServer {
  readonly #parts: SnapshotServerParts;
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #subscription: BusSubscription;

  constructor(parts: SnapshotServerParts) {
    this.#parts = parts;
    this.#subscription = parts.bus.subscribe(parts.subject, (message) => this.#onRequest(message));
  }

  stop(): void {
    this.#subscription.unsubscribe();
  }

  #onRequest(message: BusMessage): void {
    const request = parseSnapshotRequest(Buffer.from(message.data).toString());
    const page = request && this.#page(request);
    message.respond(page ?? JSON.stringify({ error: "no such snapshot" }));
  }

  #page({ id, from = 0 }: SnapshotRequest): string | undefined {
    const snapshot = id === undefined ? this.#take() : this.#snapshots.get(id);
    if (snapshot === undefined) return undefined;
    snapshot.usedAt = performance.now();
    if (from === snapshot.from && snapshot.page !== "") return snapshot.page;
    if (from !== snapshot.count) return undefined;
    snapshot.from = from;
    snapshot.page = this.#nextPage(snapshot);
    return snapshot.page;
  }

  #take(): Snapshot {
    const now = performance.now();
    for (const [id, { usedAt }] of this.#snapshots) if (now - usedAt > UNUSED_MS) this.#snapshots.delete(id);
    const [oldest] = this.#snapshots.keys();
    if (this.#snapshots.size >= MAX_SNAPSHOTS && oldest !== undefined) this.#snapshots.delete(oldest);
    const snapshot: Snapshot = {
      id: randomUUID(),
      number: this.#parts.numberNow(),
      facts: this.#parts.facts(),
      from: 0,
      count: 0,
      page: "",
      usedAt: now,
    };
    this.#snapshots.set(snapshot.id, snapshot);
    return snapshot;
  }

  #nextPage(snapshot: Snapshot): string {
    const facts: string[] = [];
    let bytes = 0;
    let isLast = false;
    const { message: pageBytes } = sizeLimits(this.#parts.bus.maxPayloadBytes());
    while (bytes < pageBytes) {
      const next = snapshot.facts.next();
      isLast = next.done === true;
      if (next.done === true) break;
      facts.push(next.value);
      bytes += next.value.length;
    }
    snapshot.count += facts.length;
    const { id, number, count } = snapshot;
    const head = `{"worker":"${this.#parts.workerId}","id":"${id}","number":${number}`;
    return `${head}${isLast ? "" : `,"next":${count}`},"facts":[${facts.join(",")}]}`;
  }
}
