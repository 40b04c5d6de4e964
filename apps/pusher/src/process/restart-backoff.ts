const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 30_000;
/** A worker that ran for this time was healthy, so that the shortest delay follows its end. */
const STABLE_AFTER_MS = 30_000;

/** Delays restarts of a worker. The delay doubles while the worker keeps ending soon after its start. */
export class RestartBackoff {
  #nextMs = FIRST_DELAY_MS;

  /** Returns the delay in milliseconds before the restart of a worker that ran for `livedMs`. */
  delayAfter(livedMs: number): number {
    if (livedMs >= STABLE_AFTER_MS) this.#nextMs = FIRST_DELAY_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    return delayMs;
  }
}
