import { type KeyObject, subtle } from "node:crypto";
import type { Log } from "@fanwire/service";
import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { anonymousGrant, type Grant, grantFrom, OPEN_GRANT } from "./core/claims.ts";
import { SharedLists } from "./core/shared-lists.ts";
import { KeysUnavailableError, RemoteKeys } from "./token-keys.ts";
import { PUBLIC_KEY_ALGORITHMS, type TokenConfig } from "./token-settings.ts";

/** Why a token was refused. All but the last are final for this token. */
export type TokenRefusal =
  /** No JWT, or a larger one than anybody needs. */
  | "malformed"
  /** Signed with another key, or in another way than the keys are for. */
  | "signature"
  | "expired"
  /** Not valid yet, for another audience, of another issuer, or a claim has a wrong form. */
  | "claims"
  /** The key set cannot be fetched, or not yet again for a token that none of its keys fits: the token may be good, try again later. */
  | "keys-unavailable";

type TokenResult = { readonly ok: true; readonly grant: Grant } | { readonly ok: false; readonly reason: TokenRefusal };

export type TokenVerifier = {
  /** No key is configured: tokens are not looked at. */
  readonly isOpen: boolean;
  /** What who shows no token may do. */
  readonly anonymous: Grant;
  /** Never rejects. On an open edge any token is as good as none. */
  verify(token: string): Promise<TokenResult>;
};

/** Maximum length of a token in characters. A token that is too long for a header is sent in a refresh command. */
export const MAX_TOKEN_LENGTH = 32_768;

/** `now` in Unix milliseconds. Tokens are never logged, nor are errors that quote their claims. */
export function createTokenVerifier(
  config: TokenConfig,
  { log, now = Date.now }: { readonly log: Log; readonly now?: () => number },
): TokenVerifier {
  const { keys, publicTopics, leewaySeconds } = config;
  if (keys.kind === "none") {
    const result: TokenResult = { ok: true, grant: OPEN_GRANT };
    return { isOpen: true, anonymous: OPEN_GRANT, verify: async () => result };
  }

  const verified = keys.kind === "key" ? byKey(keys.key) : byKeySet(new RemoteKeys({ url: keys.url, log, now }));
  const algorithms = [...(keys.kind === "key" ? keys.algorithms : PUBLIC_KEY_ALGORITHMS)];
  const check = (token: string) =>
    verified(token, {
      algorithms,
      clockTolerance: leewaySeconds,
      currentDate: new Date(now()),
      ...(config.audience !== undefined && { audience: config.audience }),
      ...(config.issuer !== undefined && { issuer: config.issuer }),
    });

  const lists = new SharedLists();
  return {
    isOpen: false,
    anonymous: anonymousGrant(publicTopics),
    verify: async (token) => {
      if (token.length > MAX_TOKEN_LENGTH) return { ok: false, reason: "malformed" };
      try {
        const grant = grantFrom(await check(token), { leewaySeconds, publicTopics });
        return grant === undefined ? { ok: false, reason: "claims" } : { ok: true, grant: shared(grant, lists) };
      } catch (error) {
        return { ok: false, reason: refusalOf(error, log) };
      }
    },
  };
}

function shared({ user, topics, publish, expiresAt }: Grant, lists: SharedLists): Grant {
  return { user, topics: lists.equalTo(topics), publish: lists.equalTo(publish), expiresAt };
}

type Key = Parameters<typeof jwtVerify>[1];
type Options = NonNullable<Parameters<typeof jwtVerify>[2]>;

/** By itself jose imports a public key once, but a secret for each token anew: a seventh of what it costs to let somebody in. */
function importedOnce(key: KeyObject): Key | JWTVerifyGetKey {
  if (key.type !== "secret") return key;
  const imported = subtle.importKey("raw", key.export(), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return () => imported;
}

type ClaimsOf = (token: string, options: Options) => Promise<JWTPayload>;

function byKey(key: KeyObject): ClaimsOf {
  const imported = importedOnce(key);
  return (token, options) => verifiedClaims(token, imported, options);
}

/** A token that no key fits may be of a key that was added after the set was fetched: it is not refused before the set is fetched again. */
function byKeySet(keys: RemoteKeys): ClaimsOf {
  return async (token, options) => {
    const triedAt = keys.loadedAt;
    try {
      return await verifiedClaims(token, keys.keyFor, options);
    } catch (error) {
      if (!mayBeOfNewKey(error, token)) throw error;
    }
    await keys.renew(token, triedAt);
    return verifiedClaims(token, keys.keyFor, options);
  };
}

/** A token that names its key has it or not; one that names none is tried with those there are. */
function mayBeOfNewKey(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined;
}

async function verifiedClaims(token: string, key: Key | JWTVerifyGetKey, options: Options): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    return claimsByAnyOf(error, token, options);
  }
}

/** A token that names no key, while several are of its kind. */
async function claimsByAnyOf(keys: AsyncIterable<Key>, token: string, options: Options): Promise<JWTPayload> {
  for await (const key of keys) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

function refusalOf(error: unknown, log: Log): TokenRefusal {
  if (error instanceof KeysUnavailableError) return "keys-unavailable";
  if (error instanceof errors.JOSEError) return refusalByCode[error.code] ?? "malformed";
  // About the key then, as one of a key set that is too short.
  log.warn({ err: error }, "a token could not be checked");
  return "keys-unavailable";
}

const refusalByCode: Readonly<Record<string, TokenRefusal>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: "signature",
  ERR_JWKS_NO_MATCHING_KEY: "signature",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "signature",
  ERR_JWT_EXPIRED: "expired",
  ERR_JWT_CLAIM_VALIDATION_FAILED: "claims",
  ERR_JWKS_INVALID: "keys-unavailable",
};
