/** Tracks when connections expire, in buckets of one second, so that no connection needs a timer. */
export class ExpiryBuckets {
  readonly #buckets = new Map<number, Set<number>>();

  /**
   * Sets the expiry of a connection in milliseconds of the caller's clock; undefined: it never expires. The next
   * {@link take} returns a connection whose expiry has passed.
   */
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
      for (const connectionId of bucket) expired.push(connectionId);
      this.#buckets.delete(second);
    }
    return expired;
  }
}

/** Returns the first second in which the connection has certainly expired. */
function secondOf(expiresAtMs: number): number {
  return Math.ceil(expiresAtMs / 1_000);
}
