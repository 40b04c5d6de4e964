/**
 * Workers close a connection for good that sends more than 100 commands in a second, by default. The worst second follows
 * a stall of the network: what was unanswered arrives together, then what was saved up, then what a second allows.
 */
const PER_SECOND = 35;
const AT_ONCE = 30;
const MAX_UNANSWERED = 30;
const STEP_MS = 250;

type Waiting = { readonly size: number; resolve(): void };

/** Spreads the commands of one connection, in the order they came. */
export class Pacer {
  readonly #waiting: Waiting[] = [];
  #waitingSize = 0;
  #allowance = AT_ONCE;
  #unanswered = 0;
  #refilledAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** Sum of the sizes of the commands that wait. */
  get waitingSize(): number {
    return this.#waitingSize;
  }

  /**
   * Resolves when it is this one's turn, or when the pacer was stopped. Then `answered` must be called once, when the
   * command was answered or given up.
   */
  turn(size = 0): Promise<void> {
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
    // Without room an answer, or the time-out of one, goes on.
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
