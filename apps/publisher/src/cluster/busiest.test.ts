import fc from "fast-check";
import { expect, test } from "vitest";
import { byConnections, candidatesOf, isProven } from "./busiest.ts";
import type { Counted, NameReply } from "./name-page.ts";

/** Connections of each name on one worker. */
type Worker = ReadonlyMap<string, number>;

const worker: fc.Arbitrary<Worker> = fc
  .uniqueArray(fc.tuple(fc.constantFrom(..."abcdefghijklmnop"), fc.integer({ min: 1, max: 5 })), {
    selector: ([name]) => name,
  })
  .map((counts) => new Map(counts));

function top(all: Worker, limit: number): NameReply {
  const sorted = [...all].sort(byConnections);
  return { items: sorted.slice(0, limit), hasMore: sorted.length > limit, total: sorted.length };
}

function sumsOf(workers: readonly Worker[]): Counted[] {
  const names = new Set(workers.flatMap((each) => [...each.keys()]));
  const sumOf = (name: string) => workers.reduce((sum, each) => sum + (each.get(name) ?? 0), 0);
  return [...names].map((name) => [name, sumOf(name)] as const).sort(byConnections);
}

test("a page that counts as proved is the true one, and candidates have their true counts", () => {
  let proved = 0;
  let unproven = 0;
  const workers = fc.array(worker, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(workers, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 16 }), (all, wanted, ofEach) => {
      const replies = all.map((each) => top(each, ofEach));
      const truth = sumsOf(all);
      const trueCounts = new Map(truth);

      const candidates = candidatesOf(replies, wanted);
      const { known, unknown } = candidates;
      const counted = unknown.map((name) => [name, trueCounts.get(name) ?? 0] as const);
      const page = [...known, ...counted].sort(byConnections).slice(0, wanted);

      for (const [name, count] of [...known, ...counted]) expect(count).toBe(trueCounts.get(name));
      if (isProven(candidates, page[wanted - 1])) {
        proved++;
        expect(page).toEqual(truth.slice(0, wanted));
      } else {
        unproven++;
        expect(replies.some(({ hasMore }) => hasMore)).toBe(true);
      }
    }),
    { numRuns: 5_000 },
  );
  expect(Math.min(proved, unproven)).toBeGreaterThan(500);
});

test("one worker's own order is the true one", () => {
  fc.assert(
    fc.property(worker, fc.integer({ min: 1, max: 6 }), (only, wanted) => {
      const reply = top(only, wanted + 1);

      const candidates = candidatesOf([reply], wanted);

      expect(candidates.unknown).toEqual([]);
      expect(isProven(candidates, candidates.known[wanted - 1])).toBe(true);
    }),
  );
});

test("equal counts on all workers are proved by the order of names", () => {
  const names = [..."abcdefghij"];
  const all = [new Map(names.map((name) => [name, 1])), new Map(names.map((name) => [name, 1]))];

  const replies = all.map((each) => top(each, 5));
  const candidates = candidatesOf(replies, 3);
  const { known, unknown } = candidates;

  expect(unknown).toEqual([]);
  expect(known.map(([name]) => name).slice(0, 3)).toEqual(["a", "b", "c"]);
  expect(isProven(candidates, known[2])).toBe(true);
});

test("the name with most connections is found although no worker has it first", () => {
  const replies: NameReply[] = [
    {
      items: [
        ["a", 9],
        ["x", 8],
      ],
      hasMore: true,
    },
    {
      items: [
        ["b", 9],
        ["x", 8],
      ],
      hasMore: true,
    },
  ];

  const { known, unknown } = candidatesOf(replies, 1);

  expect(known).toEqual([["x", 16]]);
  expect(unknown).toEqual(["a", "b"]);
});
