import fc from "fast-check";
import { expect, test } from "vitest";
import { countMembersOf, countsOf, firstTopics } from "./count-members.ts";

test("a user with connections to several workers counts once, and a topic without users is 0", () => {
  expect(countsOf([{ users: [["a", "b"], [], ["c"]] }, { users: [["b"], []] }], 3)).toEqual([2, 0]);
  expect(countsOf([{ users: [null, ["a"]] }, { users: [["b"], []] }], 2)).toEqual([undefined, 1]);
});

test("without workers all topics have no users", async () => {
  const ask = async (asked: readonly string[]) =>
    ({ ok: true, isComplete: true, counts: countsOf([], asked.length) }) as const;
  const countOne = () => Promise.reject(new Error("no topic is counted alone"));

  expect(await countMembersOf(["a", "b"], { ask, countOne })).toEqual({ ok: true, counts: [0, 0] });
});

test("a request has as many topics as there is room for, at least one", () => {
  const long = "t".repeat(255);

  expect(firstTopics(Array(1_000).fill(long))).toHaveLength(64);
  expect(firstTopics(["t".repeat(20_000), "a"])).toHaveLength(1);
});

test("all topics are counted, however many of them a worker answers for together", async () => {
  const users = fc.array(fc.uniqueArray(fc.constantFrom(..."abcdef")), { maxLength: 30 });

  await fc.assert(
    fc.asyncProperty(
      users,
      users,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 3, max: 6 }),
      async (one, other, atOnce, max) => {
        const topics = Array.from({ length: Math.max(one.length, other.length) }, (_, at) => String(at));
        const onTopic = (topic: string) =>
          new Set([...(one[Number(topic)] ?? []), ...(other[Number(topic)] ?? [])]).size;
        const replyOf = (worker: string[][], count: number) => (asked: readonly string[]) => {
          const users = asked.slice(0, count).map((topic) => {
            const names = worker[Number(topic)] ?? [];
            return names.length > max ? null : names;
          });
          return { users };
        };

        const counted = await countMembersOf(topics, {
          ask: async (asked) => {
            const counts = countsOf([replyOf(one, atOnce)(asked), replyOf(other, 3)(asked)], asked.length);
            return { ok: true, isComplete: true, counts };
          },
          countOne: async (topic) => ({ ok: true, members: onTopic(topic) }),
        });

        expect(counted).toEqual({ ok: true, counts: topics.map(onTopic) });
      },
    ),
  );
});

test("a worker that does not answer makes the count fail", async () => {
  const countOne = () => Promise.resolve({ ok: true, members: 1, complete: false } as const);
  const asked = (isComplete: boolean, counts: (number | undefined)[]) =>
    countMembersOf(["a"], { ask: async () => ({ ok: true, isComplete, counts }), countOne });

  expect(await asked(false, [1])).toEqual({ ok: false, reason: "worker-timeout" });
  expect(await asked(true, [])).toEqual({ ok: false, reason: "worker-timeout" });
  expect(await asked(true, [undefined])).toEqual({ ok: false, reason: "worker-timeout" });
});
