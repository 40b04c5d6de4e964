import { isName, isRestricted, isRestrictedPrefix, isSmallInfo, isTopicPattern } from "@fanwire/protocol";

/** The rights of a connection, from its token or those of anonymous clients. */
export type Grant = {
  /** The user of the application; `undefined` for an anonymous client. */
  readonly user: string | undefined;
  /** Patterns that cover every topic and pattern it may subscribe to. */
  readonly topics: readonly string[];
  /** Patterns of the topics it may publish to. */
  readonly publish: readonly string[];
  /** Patterns of the topics that it may join with presence. */
  readonly presence: readonly string[];
  /** Any JSON value that other members see beside the user; `undefined` if there is none. */
  readonly info: unknown;
  /**
   * Expiry in whole Unix milliseconds, leeway included; `undefined` if it never expires. It may be further ahead than
   * the maximum delay of a timer (2^31 ms).
   */
  readonly expiresAt: number | undefined;
};

/** The JSON object that a token holds. */
export type Claims = Readonly<Record<string, unknown>>;

/** Maximum number of patterns in the `topics`, `publish` and `presence` claims of one token together. */
export const MAX_CLAIMED_PATTERNS = 1_000;

/** Shared, because every connection keeps its grant until it closes. */
const NO_PATTERNS: readonly string[] = [];

/**
 * The grant while authentication is off: clients may subscribe to every topic that is not restricted, may not publish,
 * and have no user.
 */
export const OPEN_GRANT: Grant = {
  user: undefined,
  topics: [">"],
  publish: NO_PATTERNS,
  presence: NO_PATTERNS,
  info: undefined,
  expiresAt: undefined,
};

/** The grant of a client without a token while authentication is on. */
export function anonymousGrant(publicTopics: readonly string[]): Grant {
  return { ...OPEN_GRANT, topics: publicTopics };
}

/**
 * Returns what the claims of a verified token allow, or `undefined` if one of them is malformed. A partly malformed
 * token is refused as a whole, because its missing rights would go unnoticed. Absent claims allow nothing. Without
 * `exp` it never expires.
 */
export function grantFrom(
  claims: Claims,
  options: { readonly leewaySeconds: number; readonly publicTopics: readonly string[] },
): Grant | undefined {
  const { sub, topics = NO_PATTERNS, publish = NO_PATTERNS, presence = NO_PATTERNS, info, exp } = claims;
  if (sub !== undefined && !(typeof sub === "string" && isName(sub))) return undefined;
  if (exp !== undefined && !(typeof exp === "number" && Number.isFinite(exp))) return undefined;
  if (!isPatternList(topics) || !isPatternList(publish) || !isPatternList(presence)) return undefined;
  if (topics.length + publish.length + presence.length > MAX_CLAIMED_PATTERNS) return undefined;
  if (!isSmallInfo(info)) return undefined;

  return {
    user: sub,
    topics: options.publicTopics.length === 0 ? topics : [...topics, ...options.publicTopics],
    publish,
    presence,
    info,
    expiresAt: exp === undefined ? undefined : endOf(exp + options.leewaySeconds),
  };
}

/** Required values of a token's registered claims. */
export type ClaimsExpectation = {
  readonly audience: string | undefined;
  readonly issuer: string | undefined;
  readonly leewaySeconds: number;
};

/**
 * Returns why the registered claims of a verified token do not hold now, or `undefined`. A time that is not a number is
 * refused, because a token with a typing mistake would never expire if the claim were ignored.
 */
export function claimsProblem(
  claims: Claims,
  { audience, issuer, leewaySeconds }: ClaimsExpectation,
  nowSeconds: number,
): "expired" | "claims" | undefined {
  const { aud, iss, iat, nbf, exp } = claims;
  if (audience !== undefined && !names(aud, audience)) return "claims";
  if (issuer !== undefined && iss !== issuer) return "claims";
  if (!isOptionalNumber(iat) || !isOptionalNumber(nbf) || !isOptionalNumber(exp)) return "claims";
  if (nbf !== undefined && nbf > nowSeconds + leewaySeconds) return "claims";
  return exp !== undefined && exp <= nowSeconds - leewaySeconds ? "expired" : undefined;
}

function names(aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.includes(audience));
}

function isOptionalNumber(value: unknown): value is number | undefined {
  return value === undefined || typeof value === "number";
}

function endOf(unixSeconds: number): number {
  return Math.min(Math.ceil(unixSeconds * 1_000), Number.MAX_SAFE_INTEGER);
}

function isPatternList(value: unknown): value is string[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_CLAIMED_PATTERNS &&
    value.every((item) => typeof item === "string" && isTopicPattern(item))
  );
}

/** Returns whether a client may subscribe to a valid topic or pattern. One allowed pattern must cover all of it. */
export function maySubscribe(grant: Grant, pattern: string): boolean {
  const wanted = new Wanted(pattern);
  return grant.topics.some((allowed) => wanted.isCoveredBy(allowed));
}

/** Returns whether a client may join a valid topic with presence, if it may subscribe to it. */
export function mayBePresent({ user, presence }: Grant, topic: string): boolean {
  const wanted = new Wanted(topic);
  return user !== undefined && presence.some((allowed) => wanted.isCoveredBy(allowed));
}

/** Whether a valid topic may be published to. */
export function mayPublish(grant: Grant, topic: string): boolean {
  const wanted = new Wanted(topic);
  return grant.publish.some((allowed) => wanted.isCoveredBy(allowed));
}

/** Returns whether `allowed` matches every topic that `wanted` matches. */
export function coversPattern(allowed: string, wanted: string): boolean {
  return new Wanted(wanted).isCoveredBy(allowed);
}

/** A requested topic or pattern. It is split once, because a token may allow a thousand patterns. */
class Wanted {
  readonly #pattern: string;
  readonly #tokens: readonly string[];
  readonly #isRestricted: boolean;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#isRestricted = isRestricted(pattern);
    this.#tokens = pattern.split(".");
  }

  isCoveredBy(allowed: string): boolean {
    if (allowed === this.#pattern) return true;
    if (isRestricted(allowed) !== this.#isRestricted) return false;
    if (isRestrictedPrefix(allowed)) return this.#pattern.startsWith(allowed.slice(0, -1));
    const allowedTokens = allowed.split(".");
    const last = allowedTokens.length - 1;
    const isOpen = allowedTokens[last] === ">";
    // A final > in the request counts as one token, because it matches one or more.
    if (isOpen ? this.#tokens.length <= last : this.#tokens.length !== allowedTokens.length) return false;
    const head = isOpen ? allowedTokens.slice(0, last) : allowedTokens;
    return head.every((token, at) => coversToken(token, this.#tokens[at]));
  }
}

function coversToken(allowed: string, wanted: string | undefined): boolean {
  return allowed === "*" ? wanted !== ">" : allowed === wanted;
}
