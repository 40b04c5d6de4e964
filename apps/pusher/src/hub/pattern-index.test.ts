import { isTopic, isTopicPattern, matchesTopic } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { PatternIndex } from "./pattern-index.ts";

const names = fc
  .array(fc.constantFrom("a", "private-a", "", "*", ">"), { minLength: 1, maxLength: 5 })
  .map((all) => all.join("."));

test("finds each added and not removed pattern that matches, once, and is empty when all are removed", () => {
  const patterns = fc.array(names.filter(isTopicPattern), { maxLength: 20 });

  fc.assert(
    fc.property(patterns, patterns, names.filter(isTopic), (kept, removed, topic) => {
      const index = new PatternIndex();
      for (const pattern of [...kept, ...removed]) index.add(pattern);
      for (const pattern of removed) index.remove(pattern);

      const found = [...index.matching(topic)];

      expect(new Set(found).size).toBe(found.length);
      for (const pattern of found) expect(matchesTopic(pattern, topic)).toBe(true);
      expect(found).toEqual(expect.arrayContaining(kept.filter((pattern) => matchesTopic(pattern, topic))));
      expect(index.isEmpty).toBe(kept.length === 0);
      for (const pattern of kept) index.remove(pattern);
      expect(index.isEmpty).toBe(true);
    }),
    { numRuns: 10_000 },
  );
});

test("shapes that cannot fit a topic are not tried, however many clients invent", () => {
  const index = new PatternIndex();
  index.add("orders.*");
  for (let at = 1; at <= 10_000; at++) {
    const bits = at.toString(2).padStart(14, "0");
    index.add([...bits].map((bit) => (bit === "1" ? "*" : "x")).join("."));
  }
  const splitting = vi.spyOn(String.prototype, "split");

  const found = [...index.matching("orders.7")];

  const lookedAt = splitting.mock.calls.length;
  splitting.mockRestore();
  expect(found).toEqual(["orders.*"]);
  expect(lookedAt).toBe(1);
});
