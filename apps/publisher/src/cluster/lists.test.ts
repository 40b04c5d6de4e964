import type { ControlRequest } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { byConnections } from "./busiest.ts";
import { ListLimit } from "./list-limit.ts";
import { ClusterLists, MAX_RANK } from "./lists.ts";
import type { Counted } from "./name-page.ts";
import type { WorkerQuestions } from "./worker-questions.ts";

type Worker = ReadonlyMap<string, number>;

/** Answers as workers do, each with at most `room` names in a reply. */
function listsOf(workers: readonly Worker[], room = Number.POSITIVE_INFINITY) {
  const questions: ControlRequest[] = [];
  const ask = async (request: ControlRequest) => {
    questions.push(request);
    return {
      ok: true,
      replies: workers.map((worker, at) => ({ worker: `worker0${at}`, ...answer(worker, request, room) })),
      gap: {},
    };
  };
  return { lists: new ClusterLists({ ask } as unknown as WorkerQuestions, new ListLimit(0)), questions };
}

function answer(worker: Worker, request: ControlRequest, room: number) {
  if (request.command === "count-user-connections") {
    return { connections: request.users.map((user) => worker.get(user) ?? 0) };
  }
  if (request.command !== "busiest-users" && request.command !== "list-users") throw new Error(request.command);
  const { search = "", limit } = request;
  const after = "after" in request ? (request.after ?? "") : "";
  const matching = [...worker].filter(([user]) => user.includes(search));
  const sorted =
    request.command === "busiest-users"
      ? matching.sort(byConnections)
      : matching.sort().filter(([user]) => user > after);
  const users = sorted.slice(0, Math.min(limit, room));
  return { users, hasMore: users.length < sorted.length, total: matching.length };
}

function truthOf(workers: readonly Worker[], search = ""): Counted[] {
  const names = new Set(workers.flatMap((worker) => [...worker.keys()]).filter((name) => name.includes(search)));
  const sumOf = (name: string) => workers.reduce((sum, worker) => sum + (worker.get(name) ?? 0), 0);
  return [...names].map((name): Counted => [name, sumOf(name)]).sort(byConnections);
}

const name = fc.string({ unit: fc.constantFrom(..."abc"), minLength: 1, maxLength: 3 });
const worker: fc.Arbitrary<Worker> = fc
  .dictionary(name, fc.integer({ min: 1, max: 9 }), { maxKeys: 30 })
  .map((counts) => new Map(Object.entries(counts)));
const workers = fc.array(worker, { maxLength: 4 });

test("pages of the busiest users are those of all workers together, or are marked", async () => {
  const room = fc.constantFrom(3, 10, Number.POSITIVE_INFINITY);
  let [exact, marked] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      workers,
      room,
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom("", "a"),
      async (all, room, limit, search) => {
        const { lists } = listsOf(all, room);
        const truth = truthOf(all, search);

        for (let rank = 0, hasNext = true; hasNext; rank += limit) {
          const page = await lists.busiest("users", { search, rank, limit });
          if (!page.ok) throw new Error(page.reason);
          for (const item of page.items) expect(truth).toContainEqual(item);
          if ("total" in page) expect(page.total).toBe(truth.length);
          else if ("totalAtLeast" in page) {
            expect(page.totalAtLeast).toBeLessThanOrEqual(truth.length);
            expect(page.totalAtMost).toBeGreaterThanOrEqual(truth.length);
          }
          if (page.exact === undefined) {
            exact++;
            expect(page.items).toEqual(truth.slice(rank, rank + limit));
          } else marked++;
          hasNext = page.next !== undefined;
          // The page after the last one may be empty, if a reply had no room for all names.
          if (truth.length > rank + limit && page.items.length > 0) expect(hasNext).toBe(true);
        }
      },
    ),
    { numRuns: 2_000 },
  );
  expect(Math.min(exact, marked)).toBeGreaterThan(50);
});

test("pages of users in the order of names have each user once, and the true total if there is one", async () => {
  await fc.assert(
    fc.asyncProperty(workers, fc.constantFrom(2, 100), fc.integer({ min: 1, max: 8 }), async (all, room, limit) => {
      const { lists } = listsOf(all, room);
      const truth = truthOf(all).sort(([one], [other]) => (one < other ? -1 : 1));

      const found: Counted[] = [];
      let after: string | undefined;
      do {
        const page = await lists.names("users", { after, limit });
        if (!page.ok) throw new Error(page.reason);
        if ("total" in page) expect(page.total).toBe(truth.length);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        found.push(...page.items);
        after = page.next;
      } while (after !== undefined);

      expect(found).toEqual(truth);
    }),
  );
});

test("many users with about as many connections cost a bounded number of questions, and are marked", async () => {
  const counts = (first: number) =>
    Array.from({ length: 20_000 }, (_, at): [string, number] => [`user-${first + at}`, 1 + (at % 3)]);
  const { lists, questions } = listsOf([new Map(counts(0)), new Map(counts(10_000))]);

  const page = await lists.busiest("users", { rank: 0, limit: 100 });

  expect(page).toMatchObject({ ok: true, exact: false, next: "100", totalAtLeast: 20_000, totalAtMost: 40_000 });
  expect(questions.length).toBeLessThan(8);
});

test("the depth of the order of connections is bounded, and the last page has no next", async () => {
  const { lists } = listsOf([
    new Map(Array.from({ length: 2_000 }, (_, at): [string, number] => [`user-${at}`, at + 1])),
  ]);

  const page = await lists.busiest("users", { rank: MAX_RANK - 1, limit: 100 });

  expect(page).toEqual({ ok: true, items: [["user-1000", 1_001]], total: 2_000 });
});

test("lists beyond the maximum at the same time are refused, and later ones are not", async () => {
  let answerAll: (answer: object) => void = () => {};
  const waiting = new Promise<object>((resolve) => {
    answerAll = resolve;
  });
  const lists = new ClusterLists({ ask: () => waiting } as unknown as WorkerQuestions, new ListLimit(0));

  const running = Array.from({ length: 32 }, () => lists.names("users", { limit: 1 }));
  expect(await lists.connections({ limit: 1 })).toEqual({ ok: false, reason: "busy" });
  answerAll({ ok: true, replies: [], gap: {} });
  await Promise.all(running);

  expect(await lists.connections({ limit: 1 })).toEqual({ ok: true, connections: [], total: 0 });
});
