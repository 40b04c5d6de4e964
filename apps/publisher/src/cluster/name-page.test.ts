import fc from "fast-check";
import { expect, test } from "vitest";
import { namePageOf, totalOf } from "./name-page.ts";

test("connections of several workers to one name are added", () => {
  const replies = [
    { items: [["a", 1] as [string, number], ["c", 2] as [string, number]], hasMore: false },
    { items: [["c", 3] as [string, number]], hasMore: false },
  ];

  expect(namePageOf(replies, 10)).toEqual({
    items: [
      ["a", 1],
      ["c", 5],
    ],
  });
  expect(namePageOf(replies, 1)).toEqual({ items: [["a", 1]], next: "a" });
});

test("pages one after the other have every name once with all its connections", () => {
  const worker = fc.record({
    topics: fc.uniqueArray(fc.constantFrom(..."abcdefghij"), { maxLength: 10 }),
    size: fc.integer({ min: 1, max: 4 }),
  });

  fc.assert(
    fc.property(fc.array(worker, { maxLength: 4 }), fc.integer({ min: 1, max: 5 }), (workers, limit) => {
      const found: [string, number][] = [];
      for (let after: string | undefined = ""; after !== undefined; ) {
        const replies = workers.map(({ topics, size }) => {
          const rest = topics.filter((topic) => topic > (after ?? "")).sort();
          const page = rest.slice(0, size).map((topic): [string, number] => [topic, 1]);
          return { items: page, hasMore: rest.length > page.length };
        });
        const page = namePageOf(replies, limit);
        found.push(...page.items.map(([topic, count]): [string, number] => [topic, count]));
        after = page.next;
      }

      const all = workers.flatMap(({ topics }) => topics);
      const expected = [...new Set(all)].sort().map((topic) => [topic, all.filter((each) => each === topic).length]);
      expect(found).toEqual(expected);
    }),
  );
});

test("a total is returned only if it is known", () => {
  const reply = (total?: number) => ({ items: [], hasMore: true, ...(total !== undefined && { total }) });

  expect(totalOf([reply(3), reply(0)], true)).toEqual({ total: 3 });
  expect(totalOf([], true)).toEqual({ total: 0 });
  expect(totalOf([reply(3), reply(2)], true)).toEqual({ totalAtLeast: 3, totalAtMost: 5 });
  expect(totalOf([reply(3), reply(2)], true, 4)).toEqual({ total: 4 });
  expect(totalOf([reply(3), reply(0)], false)).toEqual({ totalAtLeast: 3 });
  expect(totalOf([reply(3), reply(2)], false, 4)).toEqual({ totalAtLeast: 3 });
  // A worker of an earlier version counts nothing.
  expect(totalOf([reply(3), reply()], true)).toEqual({ totalAtLeast: 3 });
  expect(totalOf([reply()], true)).toEqual({});
});
