/**
 * By default workers close a connection permanently when it sends more than 100 commands in a second. The worst second
 * is the one after a network stall: the worker receives MAX_UNANSWERED, AT_ONCE and PER_SECOND commands in it.
 */
const PER_SECOND = 35;
const AT_ONCE = 30;
const MAX_UNANSWERED = 30;
const STEP_MS = 250;
/** Maximum size of waiting commands, in characters. The overhead of each keeps their number near 1,000, or 30 s. */
const MAX_WAITING = 1_048_576;
const OVERHEAD = 1_000;

type Waiting = { readonly size: number; resolve(): void };

/** Limits the rate of the commands of one connection, and keeps their order. */
export class RateLimiter {
  readonly #waiting: Waiting[] = [];
  #waitingSize = 0;
  #allowance = AT_ONCE;
  #unanswered = 0;
  #refilledAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** Whether a command of this size, in characters, may wait. */
  hasRoom(size: number): boolean {
    return this.#waitingSize === 0 || this.#waitingSize + size + OVERHEAD <= MAX_WAITING;
  }

  /**
   * Resolves when the command may be sent, or when the limiter is stopped. `answered` must be called once for each
   * call, when the command has its reply or has failed.
   */
  wait(contentSize?: number): Promise<void> {
    // Commands without content may always wait.
    const size = contentSize === undefined ? 0 : contentSize + OVERHEAD;
    return new Promise((resolve) => {
      this.#waiting.push({ size, resolve });
      this.#waitingSize += size;
      if (this.#timer === undefined) this.#advance();
    });
  }

  answered(): void {
    this.#unanswered--;
    if (this.#timer === undefined) this.#advance();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#release(this.#waiting.length);
  }

  #advance(): void {
    this.#timer = undefined;
    if (this.#isStopped) {
      this.#release(this.#waiting.length);
      return;
    }
    const now = performance.now();
    this.#allowance = Math.min(AT_ONCE, this.#allowance + ((now - this.#refilledAt) / 1_000) * PER_SECOND);
    this.#refilledAt = now;
    const room = MAX_UNANSWERED - this.#unanswered;
    this.#allowance -= this.#release(Math.min(Math.floor(this.#allowance), room));
    // At the maximum of unanswered commands the next reply or timeout calls this function.
    if (this.#waiting.length > 0 && this.#unanswered < MAX_UNANSWERED) {
      this.#timer = setTimeout(() => this.#advance(), STEP_MS);
    }
  }

  #release(count: number): number {
    const released = this.#waiting.splice(0, Math.max(0, count));
    this.#unanswered += released.length;
    for (const { size, resolve } of released) {
      this.#waitingSize -= size;
      resolve();
    }
    return released.length;
  }
}
