import { isName, isTopicPattern } from "@fanwire/protocol";

/** What a connection may do: from its token, or what everybody may. */
export type Grant = {
  /** The application's identity; `undefined` for who has none. */
  readonly user: string | undefined;
  /** Patterns that cover every topic and pattern it may follow. */
  readonly topics: readonly string[];
  /** Patterns of the topics it may publish to. */
  readonly publish: readonly string[];
  /**
   * When it ends, in whole Unix milliseconds, leeway included; `undefined`: never. May lie further ahead than a timer
   * can wait (2^31 ms).
   */
  readonly expiresAt: number | undefined;
};

/** The JSON object that a token holds. */
export type Claims = Readonly<Record<string, unknown>>;

/** Most patterns that the `topics` and `publish` claims of one token may hold together. */
export const MAX_CLAIMED_PATTERNS = 1_000;

/** With no key configured: anybody may follow any topic, nobody has a user, nobody may publish. */
export const OPEN_GRANT: Grant = { user: undefined, topics: [">"], publish: [], expiresAt: undefined };

/** One for all: a grant is kept as long as its connection. */
const NO_PATTERNS: readonly string[] = [];

/** What who has no token may do where tokens are checked. */
export function anonymousGrant(publicTopics: readonly string[]): Grant {
  return { ...OPEN_GRANT, topics: publicTopics };
}

/**
 * What the claims of a verified token allow, or `undefined` if one has a wrong form: a token that is partly wrong is
 * refused as a whole, since nobody would notice what it lacks. Absent claims allow nothing; no `exp` means no end.
 */
export function grantFrom(
  claims: Claims,
  options: { readonly leewaySeconds: number; readonly publicTopics: readonly string[] },
): Grant | undefined {
  const { sub, topics = NO_PATTERNS, publish = NO_PATTERNS, exp } = claims;
  if (sub !== undefined && !(typeof sub === "string" && isName(sub))) return undefined;
  if (exp !== undefined && !(typeof exp === "number" && Number.isFinite(exp))) return undefined;
  if (!isPatternList(topics) || !isPatternList(publish)) return undefined;
  if (topics.length + publish.length > MAX_CLAIMED_PATTERNS) return undefined;

  return {
    user: sub,
    topics: options.publicTopics.length === 0 ? topics : [...topics, ...options.publicTopics],
    publish,
    expiresAt: exp === undefined ? undefined : endOf(exp + options.leewaySeconds),
  };
}

/** What the registered claims of a token are compared with. */
export type ClaimsExpectation = {
  readonly audience: string | undefined;
  readonly issuer: string | undefined;
  readonly leewaySeconds: number;
};

/**
 * Why the registered claims of a verified token do not hold now, or `undefined`. A time that is not a number is refused,
 * because ignoring it would turn a token with a typing mistake into one without end.
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

/** Whether a legal topic or pattern may be followed: one allowed pattern must cover all of it. */
export function mayFollow(grant: Grant, pattern: string): boolean {
  const wanted = new Wanted(pattern);
  return grant.topics.some((allowed) => wanted.isCoveredBy(allowed));
}

/** Whether a legal topic may be published to. */
export function mayPublish(grant: Grant, topic: string): boolean {
  const wanted = new Wanted(topic);
  return grant.publish.some((allowed) => wanted.isCoveredBy(allowed));
}

/** Whether every topic that `wanted` matches is matched by `allowed` too. */
export function coversPattern(allowed: string, wanted: string): boolean {
  return new Wanted(wanted).isCoveredBy(allowed);
}

/** A topic or pattern that somebody asks for. Taken apart once: a token may allow a thousand patterns. */
class Wanted {
  readonly #pattern: string;
  readonly #tokens: readonly string[];

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#tokens = pattern.split(".");
  }

  isCoveredBy(allowed: string): boolean {
    if (allowed === this.#pattern) return true;
    const allowedTokens = allowed.split(".");
    const last = allowedTokens.length - 1;
    const isOpen = allowedTokens[last] === ">";
    // A final > among the wanted counts as one token here: it stands for at least one.
    if (isOpen ? this.#tokens.length <= last : this.#tokens.length !== allowedTokens.length) return false;
    const head = isOpen ? allowedTokens.slice(0, last) : allowedTokens;
    return head.every((token, at) => coversToken(token, this.#tokens[at]));
  }
}

function coversToken(allowed: string, wanted: string | undefined): boolean {
  return allowed === "*" ? wanted !== ">" : allowed === wanted;
}
