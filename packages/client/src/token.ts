/** A token, or how to get one: asked again when the last one expires soon or was refused. */
export type TokenOption = string | (() => string | Promise<string>);

/** A token that ends sooner than this is not worth connecting with. */
const WORTH_USING_MS = 10_000;
/** Maximum duration of a token callback: the server of the application may never answer. */
const FETCH_TIMEOUT_MS = 10_000;

/** Keeps the token between connections, so that clients who all reconnect do not all ask for a new one. */
export class TokenSource {
  readonly #option: TokenOption | undefined;
  #token: string | undefined;
  #expiresAt = Number.POSITIVE_INFINITY;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(option: TokenOption | undefined) {
    this.#option = option;
  }

  get isRenewable(): boolean {
    return typeof this.#option === "function";
  }

  /** Infinity when the token does not expire, or does not say so. */
  get expiresInMs(): number {
    return this.#expiresAt - Date.now();
  }

  /** Returns the token of a new connection. Rejects when the callback does, or when the callback times out. */
  async get(): Promise<string | undefined> {
    if (this.#token === undefined || this.expiresInMs < WORTH_USING_MS) this.accept(await this.fetch());
    return this.#token;
  }

  /** Another token, which counts only once it is accepted. */
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
    this.#expiresAt = Date.now() + (token === undefined ? Number.POSITIVE_INFINITY : lifetimeMs(token));
  }

  discard(): void {
    this.accept(undefined);
  }
}

/** Callers without types return anything: nothing, and empty text, mean that there is no token. */
function checked(token: unknown): string | undefined {
  if (token === undefined || token === null || token === "") return undefined;
  if (typeof token !== "string") throw new TypeError(`token is no text: ${typeof token}`);
  return token;
}

/** How long a token that just came will last. What is no JWT lasts for ever here: the worker will say otherwise. */
function lifetimeMs(token: string): number {
  const { exp, iat } = claimsOf(token);
  if (typeof exp !== "number") return Number.POSITIVE_INFINITY;
  const byClockMs = exp * 1_000 - Date.now();
  const wholeMs = typeof iat === "number" ? (exp - iat) * 1_000 : byClockMs;
  // A token that has expired before it came, or lasts longer than it was made for: our clock is wrong.
  return byClockMs > 0 && byClockMs <= wholeMs ? byClockMs : wholeMs;
}

function claimsOf(token: string): { readonly exp?: unknown; readonly iat?: unknown } {
  try {
    return JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) ?? {};
  } catch {
    return {};
  }
}
