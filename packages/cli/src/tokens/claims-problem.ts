import { isName, isSmallInfo, isTopicPattern, MAX_INFO_BYTES } from "@fanwire/protocol";
import { type Claims, MAX_CLAIMED_PATTERNS } from "@fanwire/tokens";

const PATTERN_HELP = "* is one token, > the rest: orders.*, orders.>";

/** Returns which claim a pusher cannot read as rights, for people; undefined if it reads all of them. */
export function claimsProblem({ sub, topics = [], publish = [], presence = [], info }: Claims): string | undefined {
  if (sub !== undefined && !(typeof sub === "string" && isName(sub))) {
    return "sub (the user) must be 1 to 255 bytes of text";
  }
  const lists = Object.entries({ topics, publish, presence });
  const problem = lists.map(([claim, patterns]) => patternsProblem(claim, patterns)).find((each) => each !== undefined);
  if (problem !== undefined) return problem;
  const count = lists.flatMap(([, patterns]) => patterns).length;
  if (count > MAX_CLAIMED_PATTERNS) return `the claims have ${count} patterns, the maximum is ${MAX_CLAIMED_PATTERNS}`;
  return isSmallInfo(info) ? undefined : `info is longer than ${MAX_INFO_BYTES} bytes of JSON`;
}

function patternsProblem(claim: string, patterns: unknown): string | undefined {
  if (!Array.isArray(patterns)) return `${claim} must be a list of topics and patterns`;
  const wrong = patterns.find((each) => typeof each !== "string" || !isTopicPattern(each));
  return wrong === undefined ? undefined : `${claim}: ${JSON.stringify(wrong)} is no topic or pattern. ${PATTERN_HELP}`;
}

/** Returns why the registered claims of a token do not hold for a pusher, for people. */
export function registeredClaimsProblem(
  { aud, iss, nbf, iat, exp }: Claims,
  { audience, issuer }: { readonly audience: string | undefined; readonly issuer: string | undefined },
): string {
  if (audience !== undefined && ![aud].flat().includes(audience)) {
    return `aud is ${JSON.stringify(aud) ?? "absent"}, PUSHER_TOKEN_AUDIENCE is ${audience}`;
  }
  if (issuer !== undefined && iss !== issuer) {
    return `iss is ${JSON.stringify(iss) ?? "absent"}, PUSHER_TOKEN_ISSUER is ${issuer}`;
  }
  const wrong = Object.entries({ iat, nbf, exp }).find(
    ([, time]) => time !== undefined && !(typeof time === "number" && Number.isFinite(time)),
  );
  if (wrong !== undefined) return `${wrong[0]} must be a time in seconds since 1970`;
  return `nbf is ${String(nbf)}: it is not valid yet`;
}
