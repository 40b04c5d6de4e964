import fc from "fast-check";
import { expect, test } from "vitest";
import { finish } from "../pacing/finish.testing.ts";
import { busiestNames, type Counted, pageInOrder } from "./name-pages.ts";

const ROOM = 1_000_000;
const named = (counts: readonly Counted[]) =>
  counts
    .map(([name, subscribers]) => ({ name, item: { subscribers } }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));

const counts = fc.uniqueArray(
  fc.tuple(
    fc.string({ unit: fc.constantFrom("a", "b", ".", "я"), minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 4 }),
  ),
  { selector: ([name]) => name, maxLength: 40 },
);
const filter = fc.record({
  prefix: fc.constantFrom("", "a", "b.", "я"),
  search: fc.constantFrom(undefined, "a", ".b"),
});

test("pages one after the other have every matching name once, however small they are", () => {
  fc.assert(
    fc.property(
      counts,
      filter,
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(ROOM, 30, 1),
      (all, wanted, limit, room) => {
        const { prefix, search = "" } = wanted;
        const names = named(all);
        const matching = all.filter(([name]) => name.startsWith(prefix) && name.includes(search)).sort();

        const found: Counted[] = [];
        for (let hasMore = true; hasMore; ) {
          const page = finish(pageInOrder(names, { ...wanted, after: found.at(-1)?.[0], limit }, room)).result;
          expect(page.items.length).toBeLessThanOrEqual(limit);
          expect(page.total).toBe(matching.length);
          found.push(...page.items);
          ({ hasMore } = page);
        }

        expect(found).toEqual(matching);
      },
    ),
  );
});

test("the busiest names are those with most connections, ties in the order of names", () => {
  fc.assert(
    fc.property(counts, filter, fc.integer({ min: 1, max: 10 }), (all, wanted, limit) => {
      const { prefix, search = "" } = wanted;
      const matching = all.filter(([name]) => name.startsWith(prefix) && name.includes(search));
      const sorted = matching.toSorted(([one, a], [other, b]) => b - a || (one < other ? -1 : 1));

      expect(finish(busiestNames(named(all), { ...wanted, limit }, ROOM)).result).toEqual({
        items: sorted.slice(0, limit),
        hasMore: sorted.length > limit,
        total: sorted.length,
      });
    }),
  );
});

test("a name whose last connection closes during a request is not listed", () => {
  const names = named([
    ["a", 1],
    ["b", 0],
    ["c", 2],
  ]);

  expect(finish(pageInOrder(names, { limit: 9 }, ROOM)).result.items).toEqual([
    ["a", 1],
    ["c", 2],
  ]);
  expect(finish(busiestNames(names, { limit: 9 }, ROOM)).result.items).toEqual([
    ["c", 2],
    ["a", 1],
  ]);
});

test("a page without a search takes few steps, whatever the number of names is", () => {
  const names = named(Array.from({ length: 100_000 }, (_, at): Counted => [`topic-${at}`, 1]));

  const job = pageInOrder(names, { prefix: "topic-", after: "topic-5", limit: 200 }, ROOM);

  expect(finish(job).steps).toBeLessThan(6);
});
