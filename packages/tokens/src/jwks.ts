import { KeyObject, type webcrypto } from "node:crypto";
import type { Log } from "@fanwire/service";
import { createRemoteJWKSet, customFetch, errors, type RemoteJWKSet } from "jose";
import { algorithmsFor, type SignedToken } from "./signed-token.ts";

const FETCH_TIMEOUT_MS = 5_000;
/** Maximum size of the response. Key sets have a few kilobytes; an endless response must not fill the memory. */
const MAX_SET_BYTES = 262_144;
/** Minimum time between fetches for tokens without a matching key, because any client can invent tokens. */
const COOLDOWN_MS = 30_000;
/** Maximum number of remembered tokens to be retried after the cooldown. The others have to retry again. */
const MAX_WAITING = 10_000;
/** Minimum time between a failed fetch and the next. */
const RETRY_AFTER_MS = 5_000;
/**
 * Keys older than this are refreshed in the background, because one may have been withdrawn. They stay in use
 * meanwhile.
 */
const REFRESH_AFTER_MS = 600_000;
/**
 * After this time without a fetch a token waits for one, so that a quiet worker does not accept a key withdrawn long
 * ago.
 */
const WAIT_AFTER_MS = 1_200_000;
/** Keys are not used after this time without a successful fetch. */
const MAX_AGE_MS = 86_400_000;

/** Thrown when the keys are needed but unavailable. The token may be valid. */
export class KeysUnavailableError extends Error {
  override name = "KeysUnavailableError";
}

/**
 * The key set (JWKS) at a URL. Concurrent fetches are shared, keys stay in use while the URL is down, and the set is
 * fetched again when no key fits a token. After the first fetch it fetches only on demand, so it needs no stop().
 */
export class RemoteKeys {
  readonly #set: RemoteJWKSet;
  readonly #host: string;
  readonly #log: Log;
  readonly #now: () => number;
  #loadedAt = Number.NEGATIVE_INFINITY;
  /** Number of fetches that have begun, and the number of the one that brought the set. */
  #fetches = 0;
  #loaded = 0;
  /**
   * Keys by the algorithm and id that tokens named since the last load. The key set bounds it, as only existing keys
   * are stored.
   */
  #known = new Map<string, readonly KeyObject[]>();
  #hasReportedUnusable = false;
  /** Marks of the tokens that have to be retried, from the time since the last load and from before it. */
  #waiting = new Set<string>();
  #hopeless: ReadonlySet<string> = new Set();
  #failedAt = Number.NEGATIVE_INFINITY;

  /**
   * `now` in milliseconds of a clock that nobody sets, because a clock set back would delay every fetch.
   * With `fetchesAtStart`, the first token seldom waits.
   */
  constructor(options: {
    readonly url: URL;
    readonly log: Log;
    readonly now: () => number;
    readonly fetchesAtStart: boolean;
  }) {
    const { url, log, now, fetchesAtStart } = options;
    // This class decides when to fetch, because jose neither waits after a failure nor keeps the keys meanwhile.
    const never = { cooldownDuration: Number.POSITIVE_INFINITY, cacheMaxAge: Number.POSITIVE_INFINITY };
    this.#set = createRemoteJWKSet(url, { timeoutDuration: FETCH_TIMEOUT_MS, [customFetch]: fetchBounded, ...never });
    this.#host = url.host;
    this.#log = log;
    this.#now = now;
    if (fetchesAtStart) this.#loadInBackground();
  }

  /** Begins the attempt to verify a token, which must have arrived. */
  attempt(): Attempt {
    return { loaded: this.#loaded, fetches: this.#fetches };
  }

  /** Returns the keys that fit a token if they are known already. */
  knownFor(token: TokenName): readonly KeyObject[] | undefined {
    if (this.#freshness() !== "fresh") return undefined;
    return this.#known.get(nameOf(token));
  }

  /**
   * Returns the keys that fit a token; several if it names none. @throws KeysUnavailableError, or errors about the
   * keys.
   */
  async keysFor(token: TokenName): Promise<readonly KeyObject[]> {
    const freshness = this.#freshness();
    if (freshness === "expired") await this.#load();
    // Keys stay in use while the URL is down.
    else if (freshness === "old") await this.#load().catch(() => {});
    // A load replaces the map, so that keys of the previous set cannot get into the new one.
    const known = this.#known;
    const keys = await this.#fitting(token);
    if (keys.length > 0) known.set(nameOf(token), keys);
    return keys;
  }

  /**
   * Returns whether the keys may be used, should be fetched again first, or must not be used. Refreshes them in the
   * background if that is enough.
   */
  #freshness(): "fresh" | "old" | "expired" {
    const now = this.#now();
    const ageMs = now - this.#loadedAt;
    if (ageMs >= MAX_AGE_MS) return "expired";
    if (now - Math.max(this.#loadedAt, this.#failedAt) >= WAIT_AFTER_MS) return "old";
    if (ageMs >= REFRESH_AFTER_MS) this.#loadInBackground();
    return "fresh";
  }

  async #fitting({ algorithm, kid }: TokenName): Promise<readonly KeyObject[]> {
    try {
      return usable([await this.#set({ alg: algorithm, ...(kid !== undefined && { kid }) })], algorithm);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return [];
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      const keys: webcrypto.CryptoKey[] = [];
      for await (const key of error) keys.push(key);
      return usable(keys, algorithm);
    }
  }

  /** Logs an unusable key of the set. Does so once per load, because any client can send tokens that name it. */
  reportUnusable(error: unknown): void {
    if (this.#hasReportedUnusable) return;
    this.#hasReportedUnusable = true;
    this.#log.warn({ err: error, host: this.#host }, "unusable key in the token key set");
  }

  /**
   * Loads the set again, unless it was loaded since the attempt began, or less than 30 s ago. Returns whether it was
   * loaded since. @throws KeysUnavailableError if the fetch fails.
   */
  async renew({ loaded }: Attempt): Promise<boolean> {
    if (this.#loaded === loaded && this.#now() - this.#loadedAt >= COOLDOWN_MS) await this.#load();
    return this.#loaded !== loaded;
  }

  /**
   * Must be called if no key of the set has signed the token. Its key may be newer than the set, unless the fetch of the
   * set began after this attempt or an earlier one. @throws KeysUnavailableError if the token has to be retried.
   */
  refuse(token: string, { fetches }: Attempt): void {
    const mark = markOf(token);
    if (this.#loaded > fetches || this.#hopeless.has(mark)) return;
    if (this.#waiting.size < MAX_WAITING) this.#waiting.add(mark);
    throw new KeysUnavailableError("the fetch of the key set began before the token arrived");
  }

  async #load(): Promise<void> {
    if (this.#failedRecently())
      throw new KeysUnavailableError("the last fetch of the token keys failed less than 5 s ago");
    if (!this.#set.reloading) this.#fetches++;
    const number = this.#fetches;
    try {
      await this.#set.reload();
    } catch (cause) {
      // All callers that shared this attempt run this, and the first one logs.
      if (!this.#failedRecently()) this.#log.warn({ err: cause, host: this.#host }, "token keys unavailable");
      this.#failedAt = this.#now();
      throw new KeysUnavailableError("token keys unavailable", { cause });
    }
    // Another caller that shared this fetch has already updated the state.
    if (this.#loaded === number) return;
    this.#loaded = number;
    this.#loadedAt = this.#now();
    this.#known = new Map();
    this.#hasReportedUnusable = false;
    this.#hopeless = this.#waiting;
    this.#waiting = new Set();
  }

  #loadInBackground(): void {
    // #load logs the failure, and the next token tries again.
    this.#load().catch(() => {});
  }

  #failedRecently(): boolean {
    return this.#now() - this.#failedAt < RETRY_AFTER_MS;
  }
}

/** When the verification of a token began: number of the fetch that had brought the set, and of fetches begun. */
type Attempt = { readonly loaded: number; readonly fetches: number };

/** The parts of a token that identify its key. */
type TokenName = Pick<SignedToken, "algorithm" | "kid">;

function nameOf({ algorithm, kid }: TokenName): string {
  return kid === undefined ? algorithm : `${algorithm} ${kid}`;
}

/** Leaves out weak keys while others remain. Converts them, since only a `KeyObject` can verify without a promise. */
function usable(keys: readonly webcrypto.CryptoKey[], algorithm: string): readonly KeyObject[] {
  const converted = keys.map((key) => KeyObject.from(key));
  const strong = converted.filter((key) => algorithmsFor(key).includes(algorithm));
  if (strong.length === 0) throw new Error(`no key for ${algorithm} is strong enough`);
  return strong;
}

/** The end of the signature, which identifies the token. It is a copy, so that the token itself can be freed. */
function markOf(token: string): string {
  return Buffer.from(token.slice(-32)).toString("latin1");
}

async function fetchBounded(url: string, options: RequestInit): Promise<Response> {
  const { body, status } = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    // Throwing out of the loop cancels the response.
    if (bytes > MAX_SET_BYTES) throw new Error(`the key set is longer than ${MAX_SET_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status });
}
