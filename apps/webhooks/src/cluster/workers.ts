import type { BusSubscription } from "@fanwire/bus";
import { parseWorkerReport } from "@fanwire/protocol";
import { TrackedWorker, type TrackedWorkerParts } from "./tracked-worker.ts";

/** The subscribers and members of a worker are removed if it sends no heartbeat for this time. */
const SILENT_MS = 5_000;

/** Time for which a silent worker is remembered, because it may still send events that it has kept. */
const REMEMBER_MS = 120_000;

/** All workers that send reports. */
export class Workers {
  readonly #parts: TrackedWorkerParts;
  readonly #workers = new Map<string, TrackedWorker>();
  /** Workers that have ended, with the time. A late report of one of them is ignored. */
  readonly #ended = new Map<string, number>();
  /** Workers that are silent, with the time: removed ones, and at first those that reported to earlier leaders. */
  readonly #silent: Map<string, number>;
  readonly #subscription: BusSubscription;
  /** The removals that have not ended, by worker. A worker that returns is read again when its removal has ended. */
  readonly #removals = new Map<string, Promise<void>>();
  #startedAt = performance.now();

  constructor(parts: TrackedWorkerParts) {
    this.#parts = parts;
    this.#silent = new Map([...parts.lastEvents.keys()].map((id) => [id, this.#startedAt]));
    this.#subscription = parts.bus.subscribe(parts.subjects.allReports, ({ data }) => this.#onReport(data));
  }

  get size(): number {
    return this.#workers.size;
  }

  /** Ids of the workers that may still send events. */
  get ids(): ReadonlySet<string> {
    return new Set([...this.#workers.keys(), ...this.#removals.keys(), ...this.#silent.keys()]);
  }

  /** Whether every worker has had the time to send a heartbeat, and the state of all that did is known. */
  get areKnown(): boolean {
    if (performance.now() - this.#startedAt < SILENT_MS || this.#removals.size > 0) return false;
    return [...this.#workers.values()].every(({ isKnown }) => isKnown);
  }

  /** Must be called when NATS is connected again, because no worker could send a heartbeat meanwhile. */
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
    this.#workers.set(id, new TrackedWorker(id, this.#parts, this.#removals.get(id)));
  }

  #remove(worker: TrackedWorker): void {
    const { id } = worker;
    this.#workers.delete(id);
    const removal = worker.remove().then(() => {
      if (this.#removals.get(id) === removal) this.#removals.delete(id);
    });
    this.#removals.set(id, removal);
  }
}
