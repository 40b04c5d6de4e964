import { setImmediate as nextTick } from "node:timers/promises";

/** Maximum milliseconds for which queued work blocks the event loop. */
const SLICE_MS = 8;
/** Milliseconds for which one job works in its turn. */
const TURN_MS = 2;

/**
 * Spreads the work of many callers over ticks of the event loop, in the order of their calls. Otherwise ten thousand
 * clients that share a read would be served in one tick of a second.
 */
export class TimeSlices {
  #queue: (() => void)[] = [];
  #isRunning = false;
  /** End of the slice of this tick, by `performance.now()`. */
  #endsAt: number | undefined;

  /** Whether the caller may work at once: nobody waits, and the slice of this tick is not used up. */
  mayWorkNow(): boolean {
    return !this.#isRunning && !this.#isOver();
  }

  /** Resolves when the caller may work for a few milliseconds. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Carries out a job, which must yield often, in as many turns as it needs. */
  async carryOut<Result>(job: Generator<unknown, Result>): Promise<Result> {
    for (;;) {
      await this.turn();
      const endsAt = performance.now() + TURN_MS;
      do {
        const step = job.next();
        if (step.done) return step.value;
      } while (performance.now() < endsAt);
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) {
      const callers = this.#queue;
      this.#queue = [];
      await this.#runInSlices(callers);
    }
    this.#isRunning = false;
  }

  async #runInSlices(callers: readonly (() => void)[]): Promise<void> {
    for (const begin of callers) {
      while (this.#isOver()) await nextTick();
      begin();
      // The caller runs in a microtask before this loop continues.
      await undefined;
    }
    await nextTick();
  }

  #isOver(): boolean {
    const now = performance.now();
    if (this.#endsAt !== undefined) return now > this.#endsAt;
    this.#endsAt = now + SLICE_MS;
    setImmediate(() => {
      this.#endsAt = undefined;
    });
    return false;
  }
}
