import { checkTypes } from "./check-types.ts";

/**
 * A token, or a callback that returns one. The client calls it again when the last token expires soon or was refused.
 */
export type TokenOption = string | (() => string | Promise<string>);

/** `expiresInMs` of a token without an expiry time. */
export const NEVER = Number.POSITIVE_INFINITY;
/** Minimum remaining lifetime of a token that is used for a new connection. */
const WORTH_USING_MS = 10_000;
/** Maximum duration of a token callback: the server of the application may never answer. */
const FETCH_TIMEOUT_MS = 10_000;

/** Keeps the token between connections, so that clients that all reconnect do not all request a new one. */
export class TokenSource {
  readonly #option: TokenOption | undefined;
  #token: string | undefined;
  #expiresAt = NEVER;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(option: TokenOption | undefined) {
    if (typeof option !== "function") checked(option);
    this.#option = option;
  }

  get isRenewable(): boolean {
    return typeof this.#option === "function";
  }

  /** {@link NEVER} for a token without an expiry time. */
  get expiresInMs(): number {
    return this.#expiresAt - Date.now();
  }

  /** Returns the token of a new connection. Rejects when the callback does, or when the callback times out. */
  async get(): Promise<string | undefined> {
    if (this.#token === undefined || this.expiresInMs < WORTH_USING_MS) this.accept(await this.fetch());
    return this.#token;
  }

  /** Returns another token, which is used after a call of `accept`. */
  async fetch(): Promise<string | undefined> {
    const option = this.#option;
    if (typeof option !== "function") return checked(option);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error("token callback timed out")), FETCH_TIMEOUT_MS);
      this.#timers.add(timer);
    });
    try {
      return checked(await Promise.race([option(), late]));
    } finally {
      clearTimeout(timer);
      if (timer !== undefined) this.#timers.delete(timer);
    }
  }

  /** Cancels the timers of pending callbacks. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  accept(token: string | undefined): void {
    this.#token = token;
    this.#expiresAt = Date.now() + (token === undefined ? NEVER : lifetimeMs(token));
  }

  discard(): void {
    this.accept(undefined);
  }
}

/**
 * Checks a token of a caller without types, and trims it, because the text of a response may end with a line break.
 * Undefined, null and blank text mean that there is no token.
 */
function checked(token: unknown): string | undefined {
  if (token === undefined || token === null) return undefined;
  checkTypes("string", { token });
  return (token as string).trim() || undefined;
}

/**
 * Returns the lifetime of a new token. A token that is not a JWT never expires here; the worker refuses it if need be.
 */
function lifetimeMs(token: string): number {
  const { exp, iat } = claimsOf(token);
  if (typeof exp !== "number") return NEVER;
  const byClockMs = exp * 1_000 - Date.now();
  const wholeMs = typeof iat === "number" ? (exp - iat) * 1_000 : byClockMs;
  // The clock of this machine is wrong when a new token has expired already, or expires later than its lifetime allows.
  return byClockMs > 0 && byClockMs <= wholeMs ? byClockMs : wholeMs;
}

function claimsOf(token: string): { readonly exp?: unknown; readonly iat?: unknown } {
  try {
    return JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) ?? {};
  } catch {
    return {};
  }
}
