import type { KeyObject } from "node:crypto";
import { setImmediate as nextTick } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import { anonymousGrant, claimsProblem, type Grant, grantFrom, OPEN_GRANT } from "./grant.ts";
import { InternedLists } from "./interned-lists.ts";
import { KeysUnavailableError, RemoteKeys } from "./jwks.ts";
import type { TokenConfig } from "./settings.ts";
import { isSignedBy, PUBLIC_KEY_ALGORITHMS, parseClaims, parseSignedToken, type SignedToken } from "./signed-token.ts";

/** Reason for refusing a token. All but the last are final for this token. */
export type TokenRefusal =
  /** Not a JWT, longer than {@link MAX_TOKEN_LENGTH}, or with a critical extension. */
  | "malformed"
  /** Signed with another key, or with an algorithm that the configured key does not support. */
  | "signature"
  | "expired"
  /** Not valid yet, for another audience, from another issuer, or with a malformed claim. */
  | "claims"
  /** The key set is unavailable, or lacks a key for this token during the cooldown. The client should retry. */
  | "keys-unavailable";

export type TokenResult =
  | { readonly ok: true; readonly grant: Grant }
  | { readonly ok: false; readonly reason: TokenRefusal };

export type TokenVerifier = {
  /** No key is configured, so that tokens are ignored. */
  readonly isOpen: boolean;
  /** The grant of clients without a token. */
  readonly anonymous: Grant;
  /**
   * Returns a promise only if it has to wait for keys or tries several. It neither throws nor rejects. Without keys
   * every token is accepted.
   */
  verify(token: string): TokenResult | Promise<TokenResult>;
};

/** Maximum length of a token in characters. Clients send a token that is too long for a header in a refresh command. */
export const MAX_TOKEN_LENGTH = 32_768;
/** Keys tried in one event-loop tick. A bad signature costs up to 0.2 ms for each. */
const KEYS_PER_TICK = 16;

type SignatureResult = "signed" | "signature" | "keys-unavailable";
type CheckSignature = (token: SignedToken) => SignatureResult | Promise<SignatureResult>;

type TokenVerifierOptions = {
  readonly log: Log;
  /** Unix milliseconds, with which the claims of tokens are compared. */
  readonly now?: () => number;
  /** Milliseconds of a clock that nobody sets, for the fetches of keys. */
  readonly monotonicNow?: () => number;
  /**
   * Whether a key set is fetched before the first token needs it. Without it, that token is older than the set, so that
   * the absence of its key is final.
   */
  readonly fetchesAtStart?: boolean;
};

/** Tokens are never logged, nor are errors that quote their claims. */
export function createTokenVerifier(
  config: TokenConfig,
  { log, now = Date.now, monotonicNow = () => performance.now(), fetchesAtStart = true }: TokenVerifierOptions,
): TokenVerifier {
  const { keys } = config;
  if (keys.kind === "none") {
    const result: TokenResult = { ok: true, grant: OPEN_GRANT };
    return { isOpen: true, anonymous: OPEN_GRANT, verify: () => result };
  }
  const algorithms = keys.kind === "key" ? keys.algorithms : PUBLIC_KEY_ALGORITHMS;
  const check =
    keys.kind === "key"
      ? byKey(keys.key)
      : byKeySet(new RemoteKeys({ url: keys.url, log, now: monotonicNow, fetchesAtStart }));
  const lists = new InternedLists();
  const conclude = (token: SignedToken, result: SignatureResult): TokenResult =>
    result === "signed" ? grantOf(token, { config, lists, now }) : { ok: false, reason: result };
  const verify = (text: string): TokenResult | Promise<TokenResult> => {
    const token = text.length > MAX_TOKEN_LENGTH ? undefined : parseSignedToken(text);
    if (token === undefined) return { ok: false, reason: "malformed" };
    if (!algorithms.includes(token.algorithm)) return { ok: false, reason: "signature" };
    const result = check(token);
    return typeof result === "string" ? conclude(token, result) : result.then((later) => conclude(token, later));
  };
  // A token that meets a defect of ours is refused, because an error would end the worker with all its connections.
  const refuse = (err: unknown): TokenResult => {
    log.error({ err }, "token could not be verified");
    return { ok: false, reason: "malformed" };
  };
  return {
    isOpen: false,
    anonymous: anonymousGrant(config.publicTopics),
    verify: (text) => {
      try {
        const result = verify(text);
        return result instanceof Promise ? result.catch(refuse) : result;
      } catch (error) {
        return refuse(error);
      }
    },
  };
}

function grantOf(
  token: SignedToken,
  { config, lists, now }: { readonly config: TokenConfig; readonly lists: InternedLists; now(): number },
): TokenResult {
  const claims = parseClaims(token);
  if (claims === undefined) return { ok: false, reason: "malformed" };
  const problem = claimsProblem(claims, config, Math.floor(now() / 1_000));
  if (problem !== undefined) return { ok: false, reason: problem };
  const grant = grantFrom(claims, config);
  return grant === undefined ? { ok: false, reason: "claims" } : { ok: true, grant: interned(grant, lists) };
}

function interned(grant: Grant, lists: InternedLists): Grant {
  const { user, topics, publish, presence, info, expiresAt } = grant;
  return {
    user,
    topics: lists.intern(topics),
    publish: lists.intern(publish),
    presence: lists.intern(presence),
    info,
    expiresAt,
  };
}

function byKey(key: KeyObject): CheckSignature {
  return (token) => (isSignedBy(token, key) ? "signed" : "signature");
}

/** Returns no promise in the usual case, in which the token names a key that was used before. */
function byKeySet(keys: RemoteKeys): CheckSignature {
  return (token) => {
    const [key, another] = keys.knownFor(token) ?? [];
    const isSigned = key !== undefined && another === undefined && isSignedBy(token, key);
    return isSigned ? "signed" : checkLater(token, keys);
  };
}

async function checkLater(token: SignedToken, keys: RemoteKeys): Promise<SignatureResult> {
  try {
    return (await isSignedByKeySet(token, keys)) ? "signed" : "signature";
  } catch (error) {
    if (!(error instanceof KeysUnavailableError)) keys.reportUnusable(error);
    return "keys-unavailable";
  }
}

/**
 * Fetches the set again if no key fits the token, because its key may be newer than the last fetch. A newer key may have
 * the id of an earlier one. @throws KeysUnavailableError
 */
async function isSignedByKeySet(token: SignedToken, keys: RemoteKeys): Promise<boolean> {
  const attempt = keys.attempt();
  if (await isSignedByOneOf(token, await keys.keysFor(token))) return true;
  const isNewer = await keys.renew(attempt);
  if (isNewer && (await isSignedByOneOf(token, await keys.keysFor(token)))) return true;
  keys.refuse(token.text, attempt);
  return false;
}

async function isSignedByOneOf(token: SignedToken, keys: readonly KeyObject[]): Promise<boolean> {
  for (const [index, key] of keys.entries()) {
    if (index > 0 && index % KEYS_PER_TICK === 0) await nextTick();
    if (isSignedBy(token, key)) return true;
  }
  return false;
}
