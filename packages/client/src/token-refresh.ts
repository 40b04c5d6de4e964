import { NEVER, type TokenSource } from "./token.ts";

/** Maximum delay of a refresh, because timers cannot wait longer than 2^31 ms. */
const LONGEST_MS = 2_000_000_000;
const SHORTEST_MS = 1_000;
/** Delay for a token that has expired by this clock: the worker closes the connection if it has. */
const OVERDUE_MS = 30_000;

/** Replaces the token of a connection before it expires. */
export class TokenRefresh {
  readonly #tokens: TokenSource;
  readonly #send: (token: string) => Promise<unknown>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Number of starts and stops. A refresh that began before the last of them is ignored. */
  #generation = 0;

  /** `send` sends a token to the worker and rejects when the worker refuses it. */
  constructor(tokens: TokenSource, send: (token: string) => Promise<unknown>) {
    this.#tokens = tokens;
    this.#send = send;
  }

  start(): void {
    this.stop();
    const { isRenewable, expiresInMs } = this.#tokens;
    if (!isRenewable || expiresInMs === NEVER) return;
    const generation = this.#generation;
    this.#timer = setTimeout(() => void this.#refresh(generation), delayMs(expiresInMs));
  }

  stop(): void {
    this.#generation++;
    clearTimeout(this.#timer);
  }

  async #refresh(generation: number): Promise<void> {
    try {
      const token = await this.#tokens.fetch();
      if (this.#generation !== generation || token === undefined) return;
      await this.#send(token);
      this.#tokens.accept(token);
    } catch {
      // Retried until the token expires. Then the worker closes with 4401, and the next connection uses a new token.
    }
    if (this.#generation === generation) this.start();
  }
}

/** Returns the delay until a minute before the expiry, or a fifth of a short lifetime before it. */
function delayMs(expiresInMs: number): number {
  if (expiresInMs <= 0) return OVERDUE_MS;
  const ahead = Math.min(60_000, expiresInMs * 0.2);
  return Math.min(Math.max(expiresInMs - ahead, SHORTEST_MS), LONGEST_MS);
}
