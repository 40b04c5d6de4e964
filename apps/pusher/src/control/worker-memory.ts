import { type Bus, type BusMessage, type BusSubscription, parseJson } from "@fanwire/bus";
import { announcement, type RecallAllReply, type RecallReply, type Subjects } from "@fanwire/protocol";

/** Interval of announcements. A killed worker is forgotten, because it makes none. */
export const ANNOUNCE_EVERY_MS = 60_000;
/** Publishers forget a worker after the same time without an answer. */
const FORGET_AFTER_MS = 300_000;
/** Maximum delay of the announcement to an unknown worker. One announcement serves all workers that start within it. */
const INTRODUCE_WITHIN_MS = 500;
/** Time after connecting to NATS within which all other workers have announced themselves. */
const COMPLETE_AFTER_MS = 2 * INTRODUCE_WITHIN_MS;
/** Maximum number of remembered workers, and of remembered ends. The oldest are forgotten first. */
const MAX_WORKERS = 10_000;

type MemoryParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Announces this worker to the others. */
  announce(): void;
};
type Remembered = { readonly receivedAt: number; readonly process: string | undefined };

/**
 * Remembers which other workers exist. A publisher that starts while a worker is disconnected from NATS learns of it
 * only from the other workers.
 */
export class WorkerMemory {
  readonly #parts: MemoryParts;
  readonly #running = new Map<string, Remembered>();
  readonly #ended = new Set<string>();
  readonly #announcements: BusSubscription;
  #introduction: NodeJS.Timeout | undefined;
  #connectedAt = performance.now();

  constructor(parts: MemoryParts) {
    this.#parts = parts;
    this.#announcements = parts.bus.subscribe(parts.subjects.announcements, (message) => this.#onAnnouncement(message));
    parts.bus.onConnection(() => {
      this.#connectedAt = performance.now();
    });
  }

  stop(): void {
    this.#announcements.unsubscribe();
    clearTimeout(this.#introduction);
  }

  recall(about: string): RecallReply {
    const { workerId: worker } = this.#parts;
    if (this.#ended.has(about)) return { worker, state: "ended" };
    const known = this.#running.get(about);
    const now = performance.now();
    const silentMs = now - (known?.receivedAt ?? Number.NEGATIVE_INFINITY);
    if (known === undefined || silentMs > FORGET_AFTER_MS) {
      return { worker, state: this.#isNew ? "unsure" : "unknown" };
    }
    return { worker, state: "here", silentMs, ...(known.process !== undefined && { process: known.process }) };
  }

  /** Returns the remembered workers, at most as many as fit into `maxBytes`. */
  recallAll(maxBytes: number): RecallAllReply {
    const now = performance.now();
    const workers: RecallAllReply["workers"] = [];
    let room = maxBytes;
    for (const [id, { receivedAt, process }] of this.#running) {
      const silentMs = Math.round(now - receivedAt);
      if (silentMs > FORGET_AFTER_MS) continue;
      const remembered = { id, silentMs, ...(process !== undefined && { process }) };
      room -= Buffer.byteLength(JSON.stringify(remembered)) + 1;
      if (room < 0) break;
      workers.push(remembered);
    }
    return { worker: this.#parts.workerId, workers, isComplete: room >= 0 && !this.#isNew };
  }

  /** Whether some other workers may not have announced themselves since the connection to NATS. */
  get #isNew(): boolean {
    return performance.now() - this.#connectedAt < COMPLETE_AFTER_MS;
  }

  /** Announces this worker again, because a worker that has just started did not receive earlier announcements. */
  #introduce(): void {
    if (this.#introduction !== undefined) return;
    this.#introduction = setTimeout(() => {
      this.#introduction = undefined;
      this.#parts.announce();
    }, Math.random() * INTRODUCE_WITHIN_MS);
    this.#introduction.unref();
  }

  #onAnnouncement(message: BusMessage): void {
    const { data } = announcement.safeParse(parseJson(message));
    if (data === undefined || data.worker === this.#parts.workerId) return;
    if (data.state === "here") this.#remember(data.worker, data.process);
    if (data.state !== "ended") return;
    this.#running.delete(data.worker);
    this.#ended.add(data.worker);
    forgetFirst(this.#ended);
  }

  #remember(worker: string, process: string | undefined): void {
    // An earlier announcement may arrive after the one of the end.
    if (this.#ended.has(worker)) return;
    if (!this.#running.has(worker)) this.#introduce();
    this.#running.delete(worker);
    this.#running.set(worker, { receivedAt: performance.now(), process });
    forgetFirst(this.#running);
  }
}

/** Deletes the oldest entry when there are more than {@link MAX_WORKERS}. */
function forgetFirst(all: { readonly size: number; keys(): Iterable<string>; delete(key: string): boolean }): void {
  const [oldest] = all.keys();
  if (all.size > MAX_WORKERS && oldest !== undefined) all.delete(oldest);
}
