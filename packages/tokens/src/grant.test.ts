import { isRestricted, isTopic, isTopicPattern, matchesTopic } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import {
  anonymousGrant,
  coversPattern,
  type Grant,
  grantFrom,
  MAX_CLAIMED_PATTERNS,
  mayBePresent,
  mayPublish,
  maySubscribe,
  OPEN_GRANT,
} from "./grant.ts";

const options = { leewaySeconds: 5, publicTopics: ["news.>"] };

const pattern = fc
  .array(fc.constantFrom("a", "private-b", "*", ">", "", "щ"), { minLength: 1, maxLength: 5 })
  .map((tokens) => tokens.join("."))
  .filter(isTopicPattern);
const topic = fc
  .array(fc.constantFrom("a", "private-b", "", "щ", "other"), { minLength: 1, maxLength: 6 })
  .map((tokens) => tokens.join("."))
  .filter(isTopic);

/**
 * Returns topics that decide what covers a pattern: its wildcards filled with an unused token, > with one to six of
 * them.
 */
function witnesses(of: string): string[] {
  const filled = of.split(".").map((token) => (token === "*" ? "unnamed" : token));
  if (filled.at(-1) !== ">") return [filled.join(".")];
  return [1, 2, 3, 4, 5, 6].map((count) => [...filled.slice(0, -1), ...Array(count).fill("unnamed")].join("."));
}

test("a pattern that is covered matches no topic beyond the one that covers it", () => {
  const tokens = fc.array(fc.constantFrom("a", "private-b", "", "щ", "other"), { minLength: 5, maxLength: 5 });

  fc.assert(
    fc.property(pattern, pattern, tokens, fc.integer({ min: 1, max: 5 }), (allowed, wanted, fill, restLength) => {
      const name = wanted
        .split(".")
        .map((token, at) => (token === "*" ? fill[at] : token === ">" ? fill.slice(0, restLength).join(".") : token))
        .join(".");
      // A wildcard in the first token stands for no restricted topic.
      fc.pre(isTopic(name) && isRestricted(name) === isRestricted(wanted));

      expect(matchesTopic(wanted, name)).toBe(true);
      if (coversPattern(allowed, wanted)) expect(matchesTopic(allowed, name)).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

test("a pattern is covered exactly when every topic it matches is covered", () => {
  fc.assert(
    fc.property(pattern, pattern, (allowed, wanted) => {
      const isCovered = witnesses(wanted).every((name) => matchesTopic(allowed, name));
      expect(coversPattern(allowed, wanted)).toBe(isCovered);
    }),
    { numRuns: 10_000 },
  );
});

test("a topic is covered by patterns that match it", () => {
  fc.assert(
    fc.property(pattern, topic, (allowed, name) => {
      expect(coversPattern(allowed, name)).toBe(matchesTopic(allowed, name));
    }),
    { numRuns: 10_000 },
  );
});

test("a topic is split once, however many patterns a token allows", () => {
  const long = Array(128).fill("a").join(".");
  const grant: Grant = { ...OPEN_GRANT, topics: Array(1_000).fill("b"), publish: Array(1_000).fill("b") };
  const splitting = vi.spyOn(String.prototype, "split");

  const allows = [maySubscribe(grant, long), mayPublish(grant, long)];

  const tookApart = splitting.mock.contexts.filter((text) => String(text) === long).length;
  splitting.mockRestore();
  expect(allows).toEqual([false, false]);
  expect(tookApart).toBe(2);
});

test("a wildcard covers nothing wider than its matches", () => {
  const isAllowed = (allowed: string, wanted: string) => maySubscribe({ ...OPEN_GRANT, topics: [allowed] }, wanted);

  for (const wanted of ["a.b", "a.*"]) expect(isAllowed("a.*", wanted), wanted).toBe(true);
  for (const wanted of ["a.>", "a", "a.b.c", "*.b", ">", "*.*"]) expect(isAllowed("a.*", wanted), wanted).toBe(false);
  for (const wanted of ["a.b", "a.>", "a.*.>", "a.b.c"]) expect(isAllowed("a.>", wanted), wanted).toBe(true);
  for (const wanted of ["a", ">", "*.>", "ab.c"]) expect(isAllowed("a.>", wanted), wanted).toBe(false);
  expect(isAllowed("*.>", ">")).toBe(false);
  expect(isAllowed("a*", "ab")).toBe(false);
});

test("two allowed patterns are not combined into a wider one", () => {
  const grant: Grant = { ...OPEN_GRANT, topics: ["a", "a.>"] };

  expect(maySubscribe(grant, ">")).toBe(false);
  expect(maySubscribe({ ...grant, topics: [] }, "a")).toBe(false);
});

test("without keys, clients may subscribe to every topic that is not restricted, and may not publish", () => {
  fc.assert(fc.property(pattern, (wanted) => maySubscribe(OPEN_GRANT, wanted) !== isRestricted(wanted)));

  expect(OPEN_GRANT.user).toBeUndefined();
  expect(mayPublish(OPEN_GRANT, "a")).toBe(false);
});

test("without a token, clients may subscribe to public topics only", () => {
  const grant = anonymousGrant(["news.>"]);

  expect(grant).toEqual({ ...OPEN_GRANT, topics: ["news.>"] });
  expect(maySubscribe(grant, "news.today")).toBe(true);
  expect(maySubscribe(grant, "orders.7")).toBe(false);
});

test("claims become a grant that includes the public topics and ends with the leeway", () => {
  const grant = grantFrom({ sub: "щ", topics: ["orders.7"], publish: ["chat.*"], exp: 1_000, aud: "x" }, options);

  expect(grant).toEqual({
    user: "щ",
    topics: ["orders.7", "news.>"],
    publish: ["chat.*"],
    presence: [],
    info: undefined,
    expiresAt: 1_005_000,
  });
  expect(grant && mayPublish(grant, "chat.1")).toBe(true);
  expect(grant && mayPublish(grant, "orders.7")).toBe(false);
  expect(grant && maySubscribe(grant, "chat.1")).toBe(false);
});

test("expiresAt is a whole number of milliseconds, even for the far future", () => {
  const endOf = (exp: number) => grantFrom({ exp }, options)?.expiresAt;

  expect(endOf(1_000.0005)).toBe(1_005_001);
  expect(endOf(1e306)).toBe(Number.MAX_SAFE_INTEGER);
});

test("absent claims allow nothing and set no expiry", () => {
  expect(grantFrom({}, { leewaySeconds: 5, publicTopics: [] })).toEqual({
    user: undefined,
    topics: [],
    publish: [],
    presence: [],
    info: undefined,
    expiresAt: undefined,
  });
});

test("one malformed claim makes the whole token invalid", () => {
  const wrong: Record<string, unknown>[] = [
    { sub: "" },
    { sub: 7 },
    { sub: null },
    { sub: "щ".repeat(128) },
    { sub: "\ud800" },
    { topics: "orders.7" },
    { topics: null },
    { topics: { 0: "a", length: 1 } },
    { topics: ["a", 7] },
    { topics: ["a.>.b"] },
    { topics: [""] },
    { publish: ["a".repeat(256)] },
    { exp: "1000" },
    { exp: Number.POSITIVE_INFINITY },
  ];

  for (const claims of wrong) expect(grantFrom(claims, options), JSON.stringify(claims)).toBeUndefined();
});

test("topics and publish share one limit of patterns", () => {
  const topics = Array<string>(MAX_CLAIMED_PATTERNS).fill("a");

  expect(grantFrom({ topics }, options)?.topics).toHaveLength(MAX_CLAIMED_PATTERNS + 1);
  expect(grantFrom({ topics, publish: ["a"] }, options)).toBeUndefined();
  expect(grantFrom({ topics, presence: ["a"] }, options)).toBeUndefined();
  expect(grantFrom({ topics: [...topics, "a"] }, options)).toBeUndefined();
});

test("wildcards of a token do not allow restricted topics, and names of them do", () => {
  const grant = (...topics: string[]): Grant => ({ ...OPEN_GRANT, topics });

  for (const topic of ["private-a", "presence-a", "private-a.b", "app/7/private-a"]) {
    for (const wide of [">", "*", "*.b", "*.>"])
      expect(maySubscribe(grant(wide), topic), `${wide} ${topic}`).toBe(false);
    expect(maySubscribe(OPEN_GRANT, topic), topic).toBe(false);
    expect(maySubscribe(grant(topic), topic), topic).toBe(true);
  }
  expect(maySubscribe(grant("private-a.>"), "private-a.b")).toBe(true);
  expect(maySubscribe(grant("private-*"), "private-a.b")).toBe(true);
  expect(maySubscribe(grant("private-*"), "private-a.>")).toBe(true);
  expect(maySubscribe(grant("private-*"), "presence-a")).toBe(false);
  expect(maySubscribe(grant("private-*"), "app/7/private-a")).toBe(false);
  expect(maySubscribe(grant("app/7/private-*"), "app/7/private-a")).toBe(true);
  expect(maySubscribe(grant("private-a"), ">")).toBe(false);
  expect(maySubscribe(grant("private-*"), "*")).toBe(false);
});

test("presence needs a user and a pattern of the claim that covers the topic", () => {
  const claims = { sub: "anna", presence: ["room.*", "presence-*"], info: { name: "Anna" } };
  const grant = grantFrom(claims, options) ?? OPEN_GRANT;
  const anonymous = grantFrom({ ...claims, sub: undefined }, options) ?? OPEN_GRANT;

  expect(grant.info).toEqual({ name: "Anna" });
  expect(["room.1", "presence-1", "room", "private-1"].map((name) => mayBePresent(grant, name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(mayBePresent(anonymous, "room.1")).toBe(false);
});

test("info is any JSON value of at most a kibibyte", () => {
  const infoOf = (info: unknown) => grantFrom({ info }, options)?.info;

  for (const info of [null, 0, "", false, [], {}, "щ".repeat(511)]) expect(infoOf(info)).toEqual(info);
  expect(grantFrom({ info: "щ".repeat(512) }, options)).toBeUndefined();
  expect(grantFrom({ info: JSON.parse(`${"[".repeat(9_000)}${"]".repeat(9_000)}`) }, options)).toBeUndefined();
});
