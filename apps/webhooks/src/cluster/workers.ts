import type { BusSubscription } from "@fanwire/bus";
import { parseWorkerReport } from "@fanwire/protocol";
import { TrackedWorker, type TrackedWorkerParts } from "./tracked-worker.ts";

/** A worker that sends no heartbeat for this time loses its subscribers and members. */
const SILENT_MS = 5_000;

type WorkersParts = TrackedWorkerParts & {
  /** Number of the last event of each worker that was processed. */
  readonly lastEvents: ReadonlyMap<string, number>;
};

/** Time for which a silent worker may come back with events that it has kept. */
const REMEMBER_MS = 120_000;

/** All workers that send reports. */
export class Workers {
  readonly #parts: WorkersParts;
  readonly #workers = new Map<string, TrackedWorker>();
  /** Workers that have ended, with the time. A late report of one of them is ignored. */
  readonly #ended = new Map<string, number>();
  /** Workers that were removed because they were silent, with the time. */
  readonly #silent = new Map<string, number>();
  readonly #subscription: BusSubscription;
  #startedAt = performance.now();
  #removing = 0;

  constructor(parts: WorkersParts) {
    this.#parts = parts;
    this.#subscription = parts.bus.subscribe(parts.subjects.allReports, ({ data }) => this.#onReport(data));
  }

  get size(): number {
    return this.#workers.size;
  }

  /** Ids of the workers that may still send events. */
  get ids(): ReadonlySet<string> {
    return new Set([...this.#workers.keys(), ...this.#silent.keys()]);
  }

  /** Whether every worker has had the time to send a heartbeat, and the state of all that did is known. */
  get areKnown(): boolean {
    if (performance.now() - this.#startedAt < SILENT_MS || this.#removing > 0) return false;
    return [...this.#workers.values()].every(({ isKnown }) => isKnown);
  }

  /** Must be called when NATS is connected again, because nobody could send a heartbeat meanwhile. */
  onReconnect(): void {
    this.#startedAt = performance.now();
    for (const worker of this.#workers.values()) worker.seenAt = performance.now();
  }

  /** Removes workers that are silent. */
  removeSilent(): void {
    const now = performance.now();
    for (const worker of this.#workers.values()) {
      if (now - worker.seenAt <= SILENT_MS) continue;
      this.#parts.log.warn({ worker: worker.id }, "worker is silent, its subscribers and members are removed");
      this.#silent.set(worker.id, now);
      this.#remove(worker);
    }
    for (const [id, endedAt] of this.#ended) if (now - endedAt > SILENT_MS) this.#ended.delete(id);
    for (const [id, silentAt] of this.#silent) if (now - silentAt > REMEMBER_MS) this.#silent.delete(id);
  }

  stop(): void {
    this.#subscription.unsubscribe();
    for (const worker of this.#workers.values()) worker.stop();
  }

  #onReport(data: Uint8Array): void {
    const report = parseWorkerReport(Buffer.from(data).toString());
    if (report === undefined) return;
    const { worker: id, ended } = report;
    const known = this.#workers.get(id);
    if (ended === true) {
      this.#ended.set(id, performance.now());
      if (known) this.#remove(known);
      return;
    }
    if (known) known.receive(report);
    else if (!this.#ended.has(id)) this.#add(id);
  }

  #add(id: string): void {
    this.#workers.set(id, new TrackedWorker(id, this.#parts.lastEvents.get(id) ?? 0, this.#parts));
  }

  #remove(worker: TrackedWorker): void {
    this.#workers.delete(worker.id);
    this.#removing++;
    void worker.remove().then(() => this.#removing--);
  }
}
