import { ExpiryBuckets } from "../connections/expiry-buckets.ts";

const CHECK_EVERY_MS = 1_000;

/** Calls back when tokens of connections have expired, within about a second. One timer serves all connections. */
export class TokenExpiry {
  readonly #expiry = new ExpiryBuckets();
  readonly #timer: NodeJS.Timeout;

  constructor(onExpired: (connectionIds: readonly number[]) => void) {
    this.#timer = setInterval(() => {
      const expired = this.#expiry.take(Date.now());
      if (expired.length > 0) onExpired(expired);
    }, CHECK_EVERY_MS);
  }

  /** `expiresAtMs` in Unix milliseconds; undefined for a token that never expires. */
  set(connectionId: number, expiresAtMs: number | undefined): void {
    this.#expiry.set(connectionId, expiresAtMs);
  }

  /** Must be called with the same `expiresAtMs` as {@link set}. */
  clear(connectionId: number, expiresAtMs: number | undefined): void {
    this.#expiry.clear(connectionId, expiresAtMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
