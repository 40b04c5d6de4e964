import { Expiry } from "../connections/expiry.ts";

const CHECK_EVERY_MS = 1_000;

/** Calls back when the token of a connection has expired, within about a second. One timer serves all connections. */
export class TokenExpiry {
  readonly #expiry = new Expiry();
  readonly #timer: NodeJS.Timeout;

  constructor(onExpired: (connectionId: number) => void) {
    this.#timer = setInterval(() => {
      for (const connectionId of this.#expiry.take(Date.now())) onExpired(connectionId);
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
