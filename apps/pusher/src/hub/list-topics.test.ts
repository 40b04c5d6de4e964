import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { listTopics } from "./list-topics.ts";

const exact = (pattern: string, subscribers = 1) => ({ isExact: true, pattern, subscribers });
type Listed = Parameters<typeof listTopics>[0] extends { all(): Iterable<infer Each> } ? Each : never;
const subscriptions = (all: readonly Listed[]) => ({ size: all.length, all: () => all });
const ROOM = 1_000_000;

test("a page has the occupied topics after another one, sorted, with their connections", async () => {
  const all = subscriptions([exact("b", 2), exact("a"), exact("c", 3), exact("d")]);

  expect(await listTopics(all, { limit: 2 }, ROOM)).toEqual({
    topics: [
      ["a", 1],
      ["b", 2],
    ],
    hasMore: true,
  });
  expect(await listTopics(all, { limit: 2, after: "b" }, ROOM)).toEqual({
    topics: [
      ["c", 3],
      ["d", 1],
    ],
    hasMore: false,
  });
});

test("patterns, users and everyone occupy no topic", async () => {
  const others = [
    { isExact: false, pattern: "orders.*", subscribers: 1 },
    { isExact: true, pattern: undefined, subscribers: 1 },
  ];

  expect(await listTopics(subscriptions([...others, exact("orders.7")]), { limit: 9 }, ROOM)).toEqual({
    topics: [["orders.7", 1]],
    hasMore: false,
  });
});

test("pages that follow each other have every topic with the prefix once, however small they are", async () => {
  const names = fc.uniqueArray(fc.string({ unit: fc.constantFrom("a", "b", ".", "я"), minLength: 1, maxLength: 6 }));

  await fc.assert(
    fc.asyncProperty(
      names,
      fc.constantFrom("", "a", "b."),
      fc.integer({ min: 1, max: 5 }),
      async (topics, prefix, limit) => {
        const all = subscriptions(topics.map((topic) => exact(topic)));
        const found: string[] = [];
        for (let hasMore = true; hasMore; ) {
          const page = await listTopics(all, { prefix, after: found.at(-1) ?? "", limit }, 30);
          expect(page.topics.length).toBeLessThanOrEqual(limit);
          found.push(...page.topics.map(([topic]) => topic));
          ({ hasMore } = page);
        }

        expect(found).toEqual(topics.filter((topic) => topic.startsWith(prefix)).sort());
      },
    ),
  );
});

test("a list of 100,000 topics is scanned over many ticks if each part takes long", async () => {
  const names = Array.from({ length: 100_000 }, (_, at) => exact(`topic-${(at * 7_919) % 100_000}`));
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 6));
  let ticks = 0;
  const count = () => {
    ticks++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);

  const page = await listTopics(subscriptions(names), { limit: 5_000 }, ROOM);

  clearImmediate(next);
  clock.mockRestore();
  expect(page).toMatchObject({ topics: { length: 2_500 }, hasMore: true });
  expect(ticks).toBeGreaterThan(300);
});

test("subscriptions that begin and end during the scan neither prolong it nor appear twice", async () => {
  const live = new Map(Array.from({ length: 20_000 }, (_, at) => [`t${at}`, exact(`t${at}`)]));
  let added = 0;
  const churn = setInterval(() => {
    for (let each = 0; each < 200; each++) {
      live.delete(`t${added % 100}`);
      live.set(`t${added % 100}`, exact(`t${added % 100}`));
      live.set(`new${added}`, exact(`new${added}`));
      added++;
    }
  }, 0);

  const found: string[] = [];
  for (let hasMore = true; hasMore; ) {
    const all = { size: live.size, all: () => live.values() };
    const page = await listTopics(all, { prefix: "t", after: found.at(-1) ?? "", limit: 5_000 }, ROOM);
    found.push(...page.topics.map(([topic]) => topic));
    ({ hasMore } = page);
  }
  clearInterval(churn);

  expect(new Set(found).size).toBe(found.length);
  expect(found.length).toBeGreaterThanOrEqual(20_000 - 100);
});
