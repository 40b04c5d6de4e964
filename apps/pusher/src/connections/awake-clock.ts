const BEAT_MS = 500;
/** A tick of the timer later than this shows that the process was stopped, or that its event loop was blocked. */
const STOPPED_MS = 1_000;
/** Time within which everything is read that clients sent during a stop. */
const CATCH_UP_MS = 5_000;

/**
 * Measures the time in which this process ran. A stop must not count as silence of the clients. The messages that
 * arrive together after it must not count as too many.
 */
export class AwakeClock {
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  #beatAt: number;
  #stoppedMs = 0;
  #lastStopMs = 0;
  #wokeAt = Number.NEGATIVE_INFINITY;

  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#beatAt = now();
    this.#timer = setInterval(() => this.now(), BEAT_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Returns milliseconds without those in which the process was stopped. Sockets may be read before the first timer
   * after a stop.
   */
  now(): number {
    const now = this.#now();
    const lateMs = now - this.#beatAt - BEAT_MS;
    if (lateMs > STOPPED_MS) {
      this.#stoppedMs += lateMs;
      this.#lastStopMs = lateMs;
      this.#wokeAt = now;
    }
    this.#beatAt = now;
    return now - this.#stoppedMs;
  }

  /** Returns the number of seconds for which messages arrive now: one, and more after a stop. */
  secondsArriving(): number {
    return this.#beatAt - this.#wokeAt < CATCH_UP_MS ? 1 + Math.ceil(this.#lastStopMs / 1_000) : 1;
  }
}
