import fc from "fast-check";
import { expect, test } from "vitest";
import { Subjects } from "./subjects.ts";
import { isTopic, isTopicPattern, matchesTopic, patternsOverlap } from "./topics.ts";

const subjects = new Subjects("test");
const fewTokens = fc.array(fc.constantFrom("a", "private-b", "*", ">", "", "щ"), { minLength: 1, maxLength: 5 });

/** How NATS itself matches a subject, written as slowly and plainly as possible. */
function natsMatches(pattern: string[], subject: string[]): boolean {
  const [wanted, ...restWanted] = pattern;
  const [token, ...rest] = subject;
  if (wanted === undefined || token === undefined) return wanted === token;
  if (wanted === ">" && restWanted.length === 0) return true;
  return (wanted === "*" || wanted === token) && natsMatches(restWanted, rest);
}

test("a topic is 1 to 255 bytes of UTF-8 without a token that is a wildcard", () => {
  for (const topic of ["a", "orders.7", ".", "a..b", "a*", "b>c", "щ".repeat(127), "=", " "]) {
    expect(isTopic(topic), topic).toBe(true);
  }
  for (const text of ["", "*", "a.*.b", "a.>", "щ".repeat(128), "a".repeat(256), "\ud800"]) {
    expect(isTopic(text), text).toBe(false);
  }
});

test("a pattern may hold * anywhere and > at its end only", () => {
  for (const pattern of ["a", "*", ">", "a.*.b", "*.>", "a.>"]) expect(isTopicPattern(pattern), pattern).toBe(true);
  for (const text of ["", ">.a", "a.>.b", "a".repeat(256)]) expect(isTopicPattern(text), text).toBe(false);
});

test("a pattern matches what NATS would match", () => {
  fc.assert(
    fc.property(fewTokens, fewTokens, (patternTokens, topicTokens) => {
      const pattern = patternTokens.join(".");
      const topic = topicTokens.join(".");
      fc.pre(isTopicPattern(pattern) && isTopic(topic));

      const onNats = natsMatches(
        subjects.liveTopics(pattern).split("."),
        subjects.live({ kind: "topic", topic }).split("."),
      );

      expect(matchesTopic(pattern, topic)).toBe(onNats);
    }),
    { numRuns: 10_000 },
  );
});

test("patterns overlap exactly when some topic matches both", () => {
  const tokens = (...names: string[]) => fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 });
  const pattern = tokens("a", "private-b", "*", ">").filter((each) => !each.slice(0, -1).includes(">"));
  const topics = ["a", "private-b"].flatMap((x) => [
    x,
    ...["a", "private-b"].flatMap((y) => [
      `${x}.${y}`,
      ...["a", "private-b"].flatMap((z) => [`${x}.${y}.${z}`, `${x}.${y}.${z}.a`]),
    ]),
  ]);

  fc.assert(
    fc.property(pattern, pattern, (one, other) => {
      const [a, b] = [one.join("."), other.join(".")];
      const common = topics.some((topic) => matchesTopic(a, topic) && matchesTopic(b, topic));
      expect(patternsOverlap(a, b), `${a} ${b}`).toBe(common);
    }),
    { numRuns: 2_000 },
  );
});
