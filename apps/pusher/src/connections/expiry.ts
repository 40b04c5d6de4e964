/** When connections expire, in buckets of one second: no timer for each connection. */
export class Expiry {
  readonly #buckets = new Map<number, Set<number>>();

  /** `expiresAtMs` in Unix time; undefined: never. One that is over is taken out with the next check. */
  set(connectionId: number, expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) return;
    const second = secondOf(expiresAtMs);
    const bucket = this.#buckets.get(second);
    if (bucket) bucket.add(connectionId);
    else this.#buckets.set(second, new Set([connectionId]));
  }

  /** With what it was set to. */
  clear(connectionId: number, expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) return;
    const second = secondOf(expiresAtMs);
    const bucket = this.#buckets.get(second);
    if (!bucket?.delete(connectionId) || bucket.size > 0) return;
    this.#buckets.delete(second);
  }

  /** Takes out all that have expired by `nowMs`. Time that leaps is no obstacle. */
  take(nowMs: number): number[] {
    const expired: number[] = [];
    for (const [second, bucket] of this.#buckets) {
      if (second * 1_000 > nowMs) continue;
      expired.push(...bucket);
      this.#buckets.delete(second);
    }
    return expired;
  }
}

/** In which it has expired for sure. */
function secondOf(expiresAtMs: number): number {
  return Math.ceil(expiresAtMs / 1_000);
}
