/** Lets one event of each name pass in an interval. */
export class Throttle {
  readonly #intervalMs: number;
  /** Names in the order in which they passed, with the time. */
  readonly #passedAt = new Map<string, number>();

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  mayPass(name: string, now = performance.now()): boolean {
    for (const [other, passedAt] of this.#passedAt) {
      if (now - passedAt < this.#intervalMs) break;
      this.#passedAt.delete(other);
    }
    if (this.#passedAt.has(name)) return false;
    this.#passedAt.set(name, now);
    return true;
  }
}
