import type { Bus } from "@fanwire/bus";
import type { PresenceFence, Subjects } from "@fanwire/protocol";

/** Maximum wait for other workers, for example for one that was killed a moment ago. */
const PASS_WITHIN_MS = 2_000;

type Fence<Waiting> = { readonly id: number; readonly waiting: Waiting[]; readonly awaited: Set<string>; by: number };

type FencesParts<Waiting> = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  /** Returns the other workers. */
  peerIds(): Iterable<string>;
  /** Calls back when NATS has all that this worker announced before the call. */
  onceConfirmed(callback: () => void): void;
  /** Called with those that waited for a fence which all other workers have passed, or did not pass in time. */
  onPassed(waiting: Waiting[]): void;
};

/**
 * A fence is a request to all other workers. Each answer proves two things: that worker has received what this one
 * announced before the fence, and this one has received what that worker announced before its answer. One fence at a
 * time is under way, and serves all that wait for it.
 */
export class Fences<Waiting> {
  readonly #parts: FencesParts<Waiting>;
  /** Those that wait until NATS has their announcement, and then for the next fence. */
  #waiting: Waiting[] = [];
  #fence: Fence<Waiting> | undefined;
  /** Workers that did not pass a fence in time. They are not awaited until they answer. */
  readonly #silent = new Set<string>();
  #lastId = 0;

  constructor(parts: FencesParts<Waiting>) {
    this.#parts = parts;
  }

  /** Must be called after the announcement on which `waiting` depends. */
  add(waiting: Waiting): void {
    this.#parts.onceConfirmed(() => {
      this.#waiting.push(waiting);
      if (this.#waiting.length === 1) setImmediate(() => this.#next());
    });
  }

  /** Answers a fence of another worker. */
  pass({ worker, id }: PresenceFence): void {
    const { bus, subjects, workerId, onceConfirmed } = this.#parts;
    const text = JSON.stringify({ kind: "passed", worker: workerId, id } satisfies PresenceFence);
    // This worker sends its announcements at the end of the tick. They must arrive before the answer.
    onceConfirmed(() => void bus.send(subjects.presenceWorker(worker), Buffer.from(text)));
  }

  /** Handles the answer of another worker. */
  receive({ worker, id }: PresenceFence): void {
    this.#silent.delete(worker);
    if (this.#fence?.id === id && this.#fence.awaited.delete(worker)) this.#checkPassed(this.#fence);
  }

  /** Must be called when a worker has ended, or was silent for too long. */
  forget(worker: string): void {
    this.#silent.delete(worker);
    if (this.#fence?.awaited.delete(worker)) this.#checkPassed(this.#fence);
  }

  /** Must be called several times a second. */
  check(): void {
    const fence = this.#fence;
    if (fence === undefined || performance.now() < fence.by) return;
    for (const worker of fence.awaited) this.#silent.add(worker);
    fence.awaited.clear();
    this.#checkPassed(fence);
  }

  /** Does not count a time in which this process was stopped. */
  extendDeadlines(stoppedMs: number): void {
    if (this.#fence) this.#fence.by += stoppedMs;
  }

  #next(): void {
    if (this.#fence !== undefined || this.#waiting.length === 0) return;
    const { bus, subjects, workerId, peerIds } = this.#parts;
    const awaited = new Set([...peerIds()].filter((worker) => !this.#silent.has(worker)));
    this.#lastId++;
    const fence = { id: this.#lastId, waiting: this.#waiting, awaited, by: performance.now() + PASS_WITHIN_MS };
    this.#waiting = [];
    this.#fence = fence;
    const text = JSON.stringify({ kind: "fence", worker: workerId, id: fence.id } satisfies PresenceFence);
    // If NATS is unreachable, the wait ends by its time.
    for (const worker of [...awaited, ...this.#silent]) bus.send(subjects.presenceWorker(worker), Buffer.from(text));
    this.#checkPassed(fence);
  }

  #checkPassed(fence: Fence<Waiting>): void {
    if (fence.awaited.size > 0) return;
    this.#fence = undefined;
    this.#parts.onPassed(fence.waiting);
    this.#next();
  }
}
