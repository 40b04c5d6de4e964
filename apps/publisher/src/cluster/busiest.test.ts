import fc from "fast-check";
import { expect, test } from "vitest";
import { byConnections, candidatesOf, isProven } from "./busiest.ts";
import type { NameReply } from "./name-page.ts";

/** Connections of each name on one worker. */
type Worker = ReadonlyMap<string, number>;

const worker: fc.Arbitrary<Worker> = fc
  .dictionary(fc.constantFrom(..."abcdefghijklmnop"), fc.integer({ min: 1, max: 5 }))
  .map((counts) => new Map(Object.entries(counts)));

function top(all: Worker, limit: number): NameReply {
  const sorted = [...all].sort(byConnections);
  return { items: sorted.slice(0, limit), hasMore: sorted.length > limit, total: sorted.length };
}

test("one worker's own order is the true one", () => {
  fc.assert(
    fc.property(worker, fc.integer({ min: 1, max: 6 }), (only, wanted) => {
      const reply = top(only, wanted);

      const candidates = candidatesOf([reply], wanted);

      expect(candidates.unknown).toEqual([]);
      expect(isProven(candidates, candidates.known[wanted - 1])).toBe(true);
    }),
  );
});

test("equal counts on all workers are proved by the order of names", () => {
  const reply = top(new Map([..."abcdefghij"].map((name) => [name, 1])), 5);

  const candidates = candidatesOf([reply, reply], 3);
  const { known, unknown } = candidates;

  expect(unknown).toEqual([]);
  expect(known.map(([name]) => name).slice(0, 3)).toEqual(["a", "b", "c"]);
  expect(isProven(candidates, known[2])).toBe(true);
});

test("the name with most connections is found although no worker has it first", () => {
  const replies = ["a", "b"].map((first) => top(new Map(Object.entries({ [first]: 9, x: 8, last: 1 })), 2));

  const { known, unknown } = candidatesOf(replies, 1);

  expect(known).toEqual([["x", 16]]);
  expect(unknown).toEqual(["a", "b"]);
});

test("names beyond the candidates, which other workers may have too, prove nothing", () => {
  const names = Array.from({ length: 150 }, (_, at) => [`name ${at}`, 10] as const);
  const all: NameReply = { items: [...names], hasMore: false, total: 150 };
  const cut: NameReply = { items: [["other", 3]], hasMore: true, total: 2 };

  const candidates = candidatesOf([all, cut], 1);

  // Each of the 150 may have three connections on the other worker.
  expect(candidates.others?.[1]).toBe(13);
  expect(isProven(candidates, ["name 0", 12])).toBe(false);
});
