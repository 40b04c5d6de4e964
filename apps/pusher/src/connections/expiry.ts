/** Tracks when connections expire, in buckets of one second, so that no connection needs a timer. */
export class Expiry {
  readonly #buckets = new Map<number, Set<number>>();

  /** Sets the expiry of a connection, in Unix time. Without one it never expires. The next {@link take} returns a past one. */
  set(connectionId: number, expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) return;
    const second = secondOf(expiresAtMs);
    const bucket = this.#buckets.get(second);
    if (bucket) bucket.add(connectionId);
    else this.#buckets.set(second, new Set([connectionId]));
  }

  /** Removes a connection. `expiresAtMs` must be the value that was set. */
  clear(connectionId: number, expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) return;
    const second = secondOf(expiresAtMs);
    const bucket = this.#buckets.get(second);
    if (!bucket?.delete(connectionId) || bucket.size > 0) return;
    this.#buckets.delete(second);
  }

  /** Removes and returns the connections that have expired by `nowMs`, even if the clock has jumped. */
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

/** Returns the first second in which it has certainly expired. */
function secondOf(expiresAtMs: number): number {
  return Math.ceil(expiresAtMs / 1_000);
}
