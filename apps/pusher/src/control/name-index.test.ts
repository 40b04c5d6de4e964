import fc from "fast-check";
import { expect, test } from "vitest";
import { JobQueue } from "../pacing/job-queue.ts";
import { NameIndex } from "./name-index.ts";

type Subscription = { readonly name: string; readonly isListed: boolean; subscribers: number };

/** Subscriptions as the hub has them, and an index of those that are listed. */
function startSubscriptions(names: readonly string[] = []) {
  const all = new Map<string, Subscription>();
  const jobs = new JobQueue();
  const subscriptions = {
    get size() {
      return all.size;
    },
    all: () => all.values(),
  };
  const index = new NameIndex<Subscription>({
    jobs,
    subscriptions,
    nameOf: ({ isListed, name }) => (isListed ? name : undefined),
  });
  const begin = (name: string) => {
    if (all.has(name)) return;
    const subscription = { name, isListed: !name.startsWith("-"), subscribers: 0 };
    all.set(name, subscription);
    index.begun(subscription);
    subscription.subscribers = 1;
  };
  const end = (name: string) => {
    const subscription = all.get(name);
    if (subscription === undefined) return;
    subscription.subscribers = 0;
    all.delete(name);
    index.ended();
  };
  for (const name of names) begin(name);
  const listed = async () => (await index.names()).map(({ name }) => name);
  const expected = () => [...all.keys()].filter((name) => !name.startsWith("-")).sort();
  return { all, jobs, index, begin, end, listed, expected };
}

test("each request returns the names that are occupied then, sorted, whatever began and ended before", async () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b", "-", "я"), minLength: 1, maxLength: 2 });
  const act = fc.record({ act: fc.constantFrom("begin", "begin", "end", "list"), name });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const { begin, end, listed, expected } = startSubscriptions(["b", "a", "-"]);
      for (const each of acts) {
        if (each.act === "begin") begin(each.name);
        else if (each.act === "end") end(each.name);
        else expect(await listed()).toEqual(expected());
      }
      expect(await listed()).toEqual(expected());
    }),
  );
});

test("names that stay occupied during a request are in it once, and ended ones are absent after it", async () => {
  const kept = Array.from({ length: 20_000 }, (_, at) => `kept-${at}`);
  const { begin, end, listed, expected } = startSubscriptions(kept);
  let count = 0;
  const churn = setInterval(() => {
    for (let each = 0; each < 200; each++) {
      end(`new-${(count - 100) % 1_000}`);
      begin(`new-${count % 1_000}`);
      count++;
    }
  }, 0);

  for (let round = 0; round < 5; round++) {
    const found = (await listed()).filter((name) => name.startsWith("kept-"));
    expect(found).toEqual(kept.toSorted());
  }
  clearInterval(churn);
  expect(await listed()).toEqual(expected());
});

test("requests at the same time share the work, and each sees what began before it", async () => {
  const { begin, listed, jobs } = startSubscriptions(["a"]);

  const first = listed();
  begin("b");
  const [, second, third] = await Promise.all([first, listed(), listed()]);

  expect(second).toEqual(["a", "b"]);
  expect(third).toEqual(["a", "b"]);
  expect(jobs.refused).toBe(0);
});

test("an index that nobody reads does not keep what begins and ends", async () => {
  const { begin, end, listed, expected, index } = startSubscriptions(["a"]);
  await listed();

  for (let at = 0; at < 50_000; at++) {
    begin(`t${at}`);
    if (at % 2 === 0) end(`t${at}`);
  }

  expect(index.size).toBe(0);
  expect(await listed()).toEqual(expected());
  expect(index.size).toBe(25_001);
});
