/**
 * Calls `flush` once for all calls of `schedule` that precede it: when the event-loop tick ends, or `delayMs` after the
 * first of them.
 */
export class FlushScheduler {
  readonly #delayMs: number;
  readonly #end: () => void;
  #isScheduled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(flush: () => void, delayMs = 0) {
    this.#delayMs = delayMs;
    this.#end = () => {
      this.#isScheduled = false;
      flush();
    };
  }

  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (this.#delayMs === 0) setImmediate(this.#end);
    else this.#timer = setTimeout(this.#end, this.#delayMs);
  }

  /**
   * Ends a delay early, so that the next one has its full length. The end of a tick is not cancelled, because flushing
   * nothing is cheap.
   */
  cancelDelay(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isScheduled = false;
  }
}
