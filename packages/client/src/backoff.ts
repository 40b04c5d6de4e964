const FIRST_BOUND_MS = 1_000;
const LONGEST_BOUND_MS = 30_000;

/** Delays between attempts to connect. */
export class Backoff {
  #boundMs = FIRST_BOUND_MS;

  /**
   * Returns the delay before the next attempt, in milliseconds: a random time from 0 to a bound that doubles with each
   * failure. The whole range is random, so that clients of one dead worker do not reconnect at the same moment.
   */
  next(): number {
    const delayMs = Math.random() * this.#boundMs;
    this.#boundMs = Math.min(this.#boundMs * 2, LONGEST_BOUND_MS);
    return delayMs;
  }

  reset(): void {
    this.#boundMs = FIRST_BOUND_MS;
  }
}
