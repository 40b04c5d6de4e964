/** When connections expire, in buckets of one second: no timer for each connection. */
export class Expiry {
  readonly #buckets = new Map<number, Set<number>>();

  /** `second` in whole seconds of Unix time; one that is over is taken out with the next check. */
  set(connectionId: number, second: number): void {
    const bucket = this.#buckets.get(second);
    if (bucket) bucket.add(connectionId);
    else this.#buckets.set(second, new Set([connectionId]));
  }

  clear(connectionId: number, second: number): void {
    const bucket = this.#buckets.get(second);
    if (!bucket?.delete(connectionId) || bucket.size > 0) return;
    this.#buckets.delete(second);
  }

  /** Takes out all that have expired by `nowSecond`. Time that leaps is no obstacle. */
  take(nowSecond: number): number[] {
    const expired: number[] = [];
    for (const [second, bucket] of this.#buckets) {
      if (second > nowSecond) continue;
      expired.push(...bucket);
      this.#buckets.delete(second);
    }
    return expired;
  }
}
