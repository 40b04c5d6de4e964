const SLICE_MS = 5;

/**
 * Carries out long work in slices of a few milliseconds, one job after the other, so that no event-loop tick is long.
 */
export class SlicedWork {
  readonly #jobs: Iterator<unknown>[] = [];
  #isScheduled = false;

  /** Adds a job, which must yield often. It begins in a later tick. */
  add(job: Iterable<unknown>): void {
    this.#jobs.push(job[Symbol.iterator]());
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
  }

  readonly #run = () => {
    this.#isScheduled = false;
    const endsAt = performance.now() + SLICE_MS;
    while (this.#jobs.length > 0 && performance.now() < endsAt) {
      if (this.#jobs[0]?.next().done) this.#jobs.shift();
    }
    if (this.#jobs.length > 0) this.#schedule();
  };
}
