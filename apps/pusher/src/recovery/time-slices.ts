import { setImmediate as nextTick } from "node:timers/promises";

/** Longest that queued work keeps the event loop, in milliseconds: what arrives meanwhile waits that long. */
const SLICE_MS = 8;

/**
 * Spreads the work of many callers over ticks of the event loop, first come, first served. Ten thousand clients whose replay
 * was read at the same moment would otherwise be served in one tick of a second.
 */
export class TimeSlices {
  #queue: (() => void)[] = [];
  #isRunning = false;

  /** Resolves when the caller may work for at most a few milliseconds. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      if (!this.#isRunning) void this.#run();
    });
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
    let endsAt = performance.now() + SLICE_MS;
    for (const begin of callers) {
      if (performance.now() > endsAt) {
        await nextTick();
        endsAt = performance.now() + SLICE_MS;
      }
      begin();
      // The caller works in a microtask before this one continues.
      await undefined;
    }
    await nextTick();
  }
}
