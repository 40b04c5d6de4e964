import fc from "fast-check";
import { expect, test } from "vitest";
import { finish } from "./finish.testing.ts";
import { mergeInSlices, sortInSlices } from "./sort-in-slices.ts";

type Item = readonly [key: number, at: number];
const byKey = ([one]: Item, [other]: Item) => one - other;

test("the result is that of a stable sort, for any number of items", () => {
  const keys = fc.oneof(
    fc.array(fc.nat(20), { maxLength: 10 }),
    fc.array(fc.nat(500), { minLength: 1_000, maxLength: 3_000 }),
  );
  fc.assert(
    fc.property(keys, keys, (first, second) => {
      const [one, other] = [first, second].map((all) => all.map((key, at): Item => [key, at]));
      const sorted = [one, other].map((all = []) => finish(sortInSlices(all, byKey)).result);

      expect(sorted).toEqual([one, other].map((all = []) => all.toSorted(byKey)));
      const merged = finish(mergeInSlices(sorted[0] ?? [], sorted[1] ?? [], byKey)).result;
      expect(merged).toEqual([...(sorted[0] ?? []), ...(sorted[1] ?? [])].sort(byKey));
    }),
    { numRuns: 50 },
  );
});

test("a sort of many items takes many steps", () => {
  const items = Array.from({ length: 100_000 }, (_, at): Item => [(at * 7_919) % 100_000, at]);

  expect(finish(sortInSlices(items, byKey)).steps).toBeGreaterThan(1_000);
});
