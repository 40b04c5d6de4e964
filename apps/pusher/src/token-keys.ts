import type { Log } from "@fanwire/service";
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey, type RemoteJWKSet } from "jose";

const FETCH_TIMEOUT_MS = 5_000;
/** Key sets hold a few kilobytes; an answer without end must not fill our memory until the time is over. */
const MAX_SET_BYTES = 262_144;
/** A token that no key fits asks for the set again, but not more often than this: anybody can make up tokens. */
const COOLDOWN_MS = 30_000;
/** Tokens told to come back until the set may be asked for again that are remembered; the others are told so once more. */
const MAX_WAITING = 10_000;
/** After a failure nobody waits for another attempt before this time has passed. */
const RETRY_AFTER_MS = 5_000;
/** Older keys are confirmed in the background while they go on being used: one may have been withdrawn. */
const REFRESH_AFTER_MS = 600_000;
/** Keys that could not be confirmed for so long are used no more. */
const MAX_AGE_MS = 86_400_000;

/** The keys are needed and cannot be had; the token may well be good. */
export class KeysUnavailableError extends Error {
  override name = "KeysUnavailableError";
}

/**
 * The key set behind a URL: fetched when needed, coalesced, kept while the URL does not answer, fetched again when no key
 * of it fits a token. It fetches once at the start and then only when asked for a key: there is nothing to stop.
 */
export class RemoteKeys {
  readonly #set: RemoteJWKSet;
  readonly #host: string;
  readonly #log: Log;
  readonly #now: () => number;
  #loadedAt = Number.NEGATIVE_INFINITY;
  /** Tokens that were told to come back since the last load, and those before it. */
  #waiting = new Set<string>();
  #hopeless: ReadonlySet<string> = new Set();
  #failedAt = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds. */
  constructor(options: { readonly url: URL; readonly log: Log; readonly now: () => number }) {
    const { url, log, now } = options;
    // When to fetch is decided here, since jose's own rules neither spare a URL that fails nor outlast it.
    const never = { cooldownDuration: Number.POSITIVE_INFINITY, cacheMaxAge: Number.POSITIVE_INFINITY };
    this.#set = createRemoteJWKSet(url, { timeoutDuration: FETCH_TIMEOUT_MS, [customFetch]: fetchBounded, ...never });
    this.#host = url.host;
    this.#log = log;
    this.#now = now;
    this.#loadInBackground();
  }

  /** Milliseconds, on the clock that was given; grows with each load. */
  get loadedAt(): number {
    return this.#loadedAt;
  }

  /** For `jwtVerify`. @throws KeysUnavailableError, or jose's errors when no key or more than one fits the token. */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    const ageMs = this.#now() - this.#loadedAt;
    if (ageMs >= MAX_AGE_MS) await this.#load();
    else if (ageMs >= REFRESH_AFTER_MS) this.#loadInBackground();
    return this.#set(header, token);
  };

  /**
   * Loads the set again, unless that was done after `triedAt`: for a token that none of the keys of that time fits, since its key may
   * be newer. @throws KeysUnavailableError while the set may not be asked for again, or cannot be had.
   */
  async renew(token: string, triedAt: number): Promise<void> {
    if (this.#loadedAt > triedAt) return;
    if (this.#now() - this.#loadedAt >= COOLDOWN_MS) {
      await this.#load();
      return;
    }
    const mark = markOf(token);
    // The set was loaded after the token had come for the first time, and did not help.
    if (this.#hopeless.has(mark)) return;
    if (this.#waiting.size < MAX_WAITING) this.#waiting.add(mark);
    throw new KeysUnavailableError("the key set was fetched a moment ago");
  }

  async #load(): Promise<void> {
    if (this.#failedRecently()) throw new KeysUnavailableError("the token keys could not be fetched a moment ago");
    const before = this.#loadedAt;
    try {
      await this.#set.reload();
    } catch (cause) {
      // All who waited for the same attempt come here.
      if (!this.#failedRecently()) this.#log.warn({ err: cause, host: this.#host }, "the token keys cannot be fetched");
      this.#failedAt = this.#now();
      throw new KeysUnavailableError("the token keys cannot be fetched", { cause });
    }
    // Another one who waited for the same answer was here before us.
    if (this.#loadedAt !== before) return;
    this.#loadedAt = this.#now();
    this.#hopeless = this.#waiting;
    this.#waiting = new Set();
  }

  #loadInBackground(): void {
    // Logged where it fails; whoever needs the keys asks again.
    this.#load().catch(() => {});
  }

  #failedRecently(): boolean {
    return this.#now() - this.#failedAt < RETRY_AFTER_MS;
  }
}

/** The end of the signature: enough to tell tokens apart, and a copy, which does not keep the token in memory. */
function markOf(token: string): string {
  return Buffer.from(token.slice(-32)).toString("latin1");
}

async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
  const { body, status } = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    // Leaving the loop gives up the rest.
    if (bytes > MAX_SET_BYTES) throw new Error(`the key set is longer than ${MAX_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status });
}
