/** Workers end a connection for good that says too much in a second; by default that is more than 100 commands. */
const PER_SECOND = 40;
const AT_ONCE = 40;
const STEP_MS = 250;

/** Spreads the commands that follow and unfollow, of which there may be as many as topics, in the order they came. */
export class Pacer {
  readonly #waiting: (() => void)[] = [];
  #allowance = AT_ONCE;
  #refilledAt = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Resolves when it is this one's turn, or when it was stopped. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#timer === undefined) this.#advance();
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #advance(): void {
    const now = performance.now();
    this.#allowance = Math.min(AT_ONCE, this.#allowance + ((now - this.#refilledAt) / 1_000) * PER_SECOND);
    this.#refilledAt = now;
    const ready = this.#waiting.splice(0, Math.floor(this.#allowance));
    this.#allowance -= ready.length;
    for (const resolve of ready) resolve();
    this.#timer = this.#waiting.length > 0 ? setTimeout(() => this.#advance(), STEP_MS) : undefined;
  }
}
