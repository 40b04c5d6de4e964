import { isName } from "./names.ts";
import { isRestricted } from "./restricted-topics.ts";
import { decodeToken, encodeToken } from "./subject-tokens.ts";

/** Matches exactly one token of a topic. */
const ANY_TOKEN = "*";
/** Matches one or more tokens; only the last token of a pattern may be this. */
const ANY_REST = ">";

/**
 * Whether publications can address the text: 1 to 255 bytes, tokens separated by dots, empty tokens allowed.
 * With a token that is a lone wildcard it is a pattern and no topic.
 */
export function isTopic(text: string): boolean {
  return isName(text) && !text.split(".").some((token) => token === ANY_TOKEN || token === ANY_REST);
}

/** Whether the text is a topic in which tokens may be `*` (one token) and the last may be `>` (one or more). */
export function isTopicPattern(text: string): boolean {
  return isName(text) && !text.split(".").slice(0, -1).includes(ANY_REST);
}

/** Whether a publication to `topic` reaches a subscriber of `pattern`. */
export function matchesTopic(pattern: string, topic: string): boolean {
  if (isRestricted(pattern) !== isRestricted(topic)) return false;
  const wanted = pattern.split(".");
  const tokens = topic.split(".");
  const last = wanted.length - 1;

  if (wanted[last] === ANY_REST) {
    return (
      tokens.length >= wanted.length && wanted.slice(0, last).every((token, at) => matchesToken(token, tokens[at]))
    );
  }
  return tokens.length === wanted.length && wanted.every((token, at) => matchesToken(token, tokens[at]));
}

function matchesToken(wanted: string, token: string | undefined): boolean {
  return wanted === ANY_TOKEN || wanted === token;
}

/** Encodes a topic as tokens of a subject. */
export function encodeTopic(topic: string): string {
  return topic.split(".").map(encodeToken).join(".");
}

/** Like {@link encodeTopic}, but keeps wildcards. */
export function encodeTopicPattern(pattern: string): string {
  return pattern
    .split(".")
    .map((token) => (token === ANY_TOKEN || token === ANY_REST ? token : encodeToken(token)))
    .join(".");
}

/** Decodes the tokens of a subject; returns `undefined` if {@link encodeTopic} never writes them. */
export function decodeTopic(tokens: string): string | undefined {
  const names = tokens.split(".").map(decodeToken);
  // With a decoded dot, one topic would have two subjects. In a topic, dots only separate tokens.
  if (names.some((name) => name === undefined || name.includes("."))) return undefined;
  const topic = names.join(".");
  return isTopic(topic) ? topic : undefined;
}

/** Decodes the tokens of a subject; returns `undefined` if {@link encodeTopicPattern} never writes them. */
export function decodeTopicPattern(tokens: string): string | undefined {
  const names = tokens
    .split(".")
    .map((token) => (token === ANY_TOKEN || token === ANY_REST ? token : decodeName(token)));
  if (names.some((name) => name === undefined)) return undefined;
  const pattern = names.join(".");
  return isTopicPattern(pattern) ? pattern : undefined;
}

/** Refuses a lone wildcard, which would match other topics, and a dot, with which one topic would have two subjects. */
function decodeName(token: string): string | undefined {
  const name = decodeToken(token);
  return name === undefined || name === ANY_TOKEN || name === ANY_REST || name.includes(".") ? undefined : name;
}

/** Whether at least one topic matches both. Each is a topic or a pattern. */
export function patternsOverlap(one: string, other: string): boolean {
  if (isRestricted(one) !== isRestricted(other)) return false;
  const [a, b] = [one.split("."), other.split(".")];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [left, right] = [a[at], b[at]];
    if (left === ">" || right === ">") return left !== undefined && right !== undefined;
    if (left === undefined || right === undefined) return false;
    if (left !== "*" && right !== "*" && left !== right) return false;
  }
  return true;
}
