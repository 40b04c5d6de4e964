import { KeyObject, type webcrypto } from "node:crypto";
import type { Log } from "@fanwire/service";
import { createRemoteJWKSet, customFetch, errors, type RemoteJWKSet } from "jose";
import { algorithmsFor, type SignedToken } from "./signed-token.ts";

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
  /** Keys by the algorithm and id that tokens named, since the last load. Bounded by the set: only names that fit a key are kept. */
  #known = new Map<string, readonly KeyObject[]>();
  #hasReportedUnusable = false;
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

  /** Returns the keys that fit a token, if they can be had without waiting. */
  knownFor(token: TokenName): readonly KeyObject[] | undefined {
    const ageMs = this.#now() - this.#loadedAt;
    if (ageMs >= MAX_AGE_MS) return undefined;
    if (ageMs >= REFRESH_AFTER_MS) this.#loadInBackground();
    return this.#known.get(nameOf(token));
  }

  /** Returns the keys that fit a token; more than one if it names none. @throws KeysUnavailableError, or errors about the keys. */
  async keysFor(token: TokenName): Promise<readonly KeyObject[]> {
    const ageMs = this.#now() - this.#loadedAt;
    if (ageMs >= MAX_AGE_MS) await this.#load();
    else if (ageMs >= REFRESH_AFTER_MS) this.#loadInBackground();
    // A load replaces the map, so keys of the set before it cannot get into the new one.
    const known = this.#known;
    const keys = await this.#fitting(token);
    if (keys.length > 0) known.set(nameOf(token), keys);
    return keys;
  }

  async #fitting({ algorithm, kid }: TokenName): Promise<readonly KeyObject[]> {
    // jose compares any JSON with the ids of the set; its types know only the legal one.
    const header = kid === undefined ? { alg: algorithm } : { alg: algorithm, kid: kid as string };
    try {
      return usable([await this.#set(header)], algorithm);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return [];
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      const keys: webcrypto.CryptoKey[] = [];
      for await (const key of error) keys.push(key);
      return usable(keys, algorithm);
    }
  }

  /** Logs a key of the set that cannot be used, once for each load: anybody can send tokens that name it. */
  reportUnusable(error: unknown): void {
    if (this.#hasReportedUnusable) return;
    this.#hasReportedUnusable = true;
    this.#log.warn({ err: error, host: this.#host }, "unusable key in the token key set");
  }

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
    this.#known = new Map();
    this.#hasReportedUnusable = false;
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

/** What a token says about its key. */
type TokenName = Pick<SignedToken, "algorithm" | "kid">;

function nameOf({ algorithm, kid }: TokenName): string {
  return kid === undefined ? algorithm : `${algorithm} ${JSON.stringify(kid)}`;
}

/** Leaves out weak keys while others remain. Converts them, since only a `KeyObject` can verify without a promise. */
function usable(keys: readonly webcrypto.CryptoKey[], algorithm: string): readonly KeyObject[] {
  const converted = keys.map((key) => KeyObject.from(key));
  const strong = converted.filter((key) => algorithmsFor(key).includes(algorithm));
  if (strong.length === 0) throw new Error(`no key for ${algorithm} is strong enough`);
  return strong;
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
