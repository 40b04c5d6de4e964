import { isTopic, isTopicPattern, matchesTopic } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { PatternShapes } from "./pattern-index.ts";

const names = fc
  .array(fc.constantFrom("a", "private-a", "", "*", ">"), { minLength: 1, maxLength: 5 })
  .map((all) => all.join("."));

test("finds each added and not removed pattern that matches, once", () => {
  const patterns = fc.array(names.filter(isTopicPattern), { maxLength: 20 });

  fc.assert(
    fc.property(patterns, patterns, names.filter(isTopic), (kept, removed, topic) => {
      const shapes = new PatternShapes();
      for (const pattern of [...kept, ...removed]) shapes.add(pattern);
      for (const pattern of removed) shapes.remove(pattern);

      const found = [...shapes.matching(topic)];

      expect(new Set(found).size).toBe(found.length);
      for (const pattern of found) expect(matchesTopic(pattern, topic)).toBe(true);
      expect(found).toEqual(expect.arrayContaining(kept.filter((pattern) => matchesTopic(pattern, topic))));
    }),
    { numRuns: 10_000 },
  );
});

test("the work grows with the number of shapes, not of patterns", () => {
  const shapes = new PatternShapes();
  for (let at = 0; at < 1_000; at++) shapes.add(`orders.${at}.*`);
  shapes.add("orders.>");

  expect([...shapes.matching("orders.7.paid")]).toEqual(["orders.7.*", "orders.>"]);
  expect([...shapes.matching("orders.7")]).toEqual(["orders.>"]);

  shapes.remove("orders.>");
  expect([...shapes.matching("orders.7")]).toEqual([]);
});

test("shapes that cannot fit a topic are not tried, however many clients invent", () => {
  const shapes = new PatternShapes();
  shapes.add("orders.*");
  for (let at = 1; at <= 10_000; at++) {
    const bits = at.toString(2).padStart(14, "0");
    shapes.add([...bits].map((bit) => (bit === "1" ? "*" : "x")).join("."));
  }
  const splitting = vi.spyOn(String.prototype, "split");

  const found = [...shapes.matching("orders.7")];

  const lookedAt = splitting.mock.calls.length;
  splitting.mockRestore();
  expect(found).toEqual(["orders.*"]);
  expect(lookedAt).toBe(1);
});
