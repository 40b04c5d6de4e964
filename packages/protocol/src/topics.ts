import { isName } from "./names.ts";
import { decodeToken, encodeToken } from "./subject-tokens.ts";

/** Stands for exactly one token of a topic. */
const ANY_TOKEN = "*";
/** Stands for one or more tokens; only the last token of a pattern may be it. */
const ANY_REST = ">";

/**
 * A topic that publications can address: 1 to 255 bytes, tokens separated by dots (empty ones are allowed).
 * A token that is a lone wildcard makes it a pattern and no topic.
 */
export function isTopic(text: string): boolean {
  return isName(text) && !text.split(".").some((token) => token === ANY_TOKEN || token === ANY_REST);
}

/** A topic in which a token may be `*` (one token) or the last may be `>` (one or more). Every topic is one. */
export function isTopicPattern(text: string): boolean {
  return isName(text) && !text.split(".").slice(0, -1).includes(ANY_REST);
}

/** Whether a publication to `topic` reaches a follower of `pattern`. */
export function matchesTopic(pattern: string, topic: string): boolean {
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

/** The tokens of a topic as they stand in a subject. */
export function encodeTopic(topic: string): string {
  return topic.split(".").map(encodeToken).join(".");
}

/** As {@link encodeTopic}, with wildcards left as NATS reads them. */
export function encodeTopicPattern(pattern: string): string {
  return pattern
    .split(".")
    .map((token) => (token === ANY_TOKEN || token === ANY_REST ? token : encodeToken(token)))
    .join(".");
}

/** The topic behind the tokens of a subject, or `undefined` if {@link encodeTopic} never writes them. */
export function decodeTopic(tokens: string): string | undefined {
  const names = tokens.split(".").map(decodeToken);
  // A decoded dot would make two subjects of one topic: within a topic, dots only separate.
  if (names.some((name) => name === undefined || name.includes("."))) return undefined;
  const topic = names.join(".");
  return isTopic(topic) ? topic : undefined;
}

/** The pattern behind the tokens of a subject, or `undefined` if {@link encodeTopicPattern} never writes them. */
export function decodeTopicPattern(tokens: string): string | undefined {
  const names = tokens
    .split(".")
    .map((token) => (token === ANY_TOKEN || token === ANY_REST ? token : decodeName(token)));
  if (names.some((name) => name === undefined)) return undefined;
  const pattern = names.join(".");
  return isTopicPattern(pattern) ? pattern : undefined;
}

/** A name that is a lone wildcard would be read as one, and a decoded dot would make two subjects of one topic. */
function decodeName(token: string): string | undefined {
  const name = decodeToken(token);
  return name === undefined || name === ANY_TOKEN || name === ANY_REST || name.includes(".") ? undefined : name;
}

/** Whether some topic matches both; each is a topic or a pattern. */
export function patternsOverlap(one: string, other: string): boolean {
  const [a, b] = [one.split("."), other.split(".")];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [left, right] = [a[at], b[at]];
    if (left === ">" || right === ">") return left !== undefined && right !== undefined;
    if (left === undefined || right === undefined) return false;
    if (left !== "*" && right !== "*" && left !== right) return false;
  }
  return true;
}
