import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import {
  contentOf,
  readingWorld,
  type Stored,
  type Sub,
  subjectOf,
  subscription,
  textOf,
  world,
  worldOfTwo,
} from "./frontier.testing.ts";

afterEach(() => void vi.useRealTimers());

test("nothing overtakes a publication without content, which is fetched after a moment", async () => {
  const a = subscription("a", "x", "y");
  const { frontier, store, readOn, arrive, counters } = await readingWorld([a]);
  const [, second] = [store("x"), store("y")];
  readOn(2);

  if (second) arrive(second);

  expect(a.got).toEqual([]);
  expect(frontier.position?.sequence).toBe(0);
  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x1 e1-1", "y2 e1-2"]);
  expect(counters.historyFetched).toBe(1);
});

test("copies to one connection are delivered in the order of their tags, each but the last with its own position", async () => {
  const [a, b, c] = [subscription("aa", "x"), subscription("bb", "x"), subscription("cc", "x")];
  const d = subscription("dd", "x", "y");
  const { store, readOn, arrive } = await readingWorld([d, b, a, c]);
  arrive(store("x"));

  readOn(1);

  expect([a.got, b.got, c.got]).toEqual([["x1 e1-0.aa"], ["x1 e1-0.bb"], ["x1 e1-1"]]);
  // No connection receives this one and another.
  expect(d.got).toEqual(["x1 e1-1"]);
});

test("a worker starts at the end of the history, and reads a recreated one from its beginning, once", async () => {
  const a = subscription("a", "x");
  const { frontier, store, readOn, readUntil, recreate, endConsumer, arrive } = await readingWorld([a], { stored: 7 });
  arrive(store("x"));
  readOn(1);

  recreate();
  const all = [store("x"), store("x")];
  for (const each of all) arrive(each);
  endConsumer();
  await expect.poll(() => frontier.position?.epoch).toBe("e2");
  await readUntil(() => a.got.length === 3);

  expect(a.got).toEqual(["x8 e1-8", "x1 e2-1", "x2 e2-2"]);
});

test.each([
  [true, ["x8 e1-8", "x9 e1-9", "x10 e1-10"]],
  [false, ["x10 e1-10"]],
])("content from before the history is read is for open connections: %s", async (hasConnections, got) => {
  const a = subscription("a", "x");
  const { store, readOn, arrive, isReading } = world([a], { stored: 7, hasConnections });
  for (const each of [store("x"), store("x")]) arrive(each);
  await isReading;

  arrive(store("x"));
  readOn(5);

  await expect.poll(() => a.got).toEqual(got);
});

test("a worker delivers nothing of a restored history before the subscribers of the former one have ended", async () => {
  const a = subscription("a", "x");
  const { frontier, store, readOn, readUntil, restore, endConsumer, arrive, missed, onRestored } = await readingWorld(
    [a],
    {
      epoch: "k3v9q0xa1b2c",
    },
  );
  const [first, second] = [store("x"), store("x")] as const;
  for (const each of [first, second]) arrive(each);
  readOn(2);
  let end = () => {};
  onRestored.do = () =>
    new Promise((resolve) => {
      end = resolve;
    });

  restore(first);
  endConsumer();
  await expect.poll(() => missed).toEqual([[a]]);
  arrive(store("x"));
  readOn(3);
  expect([frontier.position, a.got.length]).toEqual([{ epoch: "k3v9q0xa1b2c", sequence: 2 }, 2]);

  end();
  await readUntil(() => a.got.length === 3);
  expect(a.got.at(-1)).toBe("x2 k3v9q0xa1b2cm-2");
});

test("a worker that delivers each publication late is not ready", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { b, frontier, store, readOn, arrive, drop, onQuestion, skipped } = await worldOfTwo();
  for (let gap = 0; gap < 6; gap++) {
    const dropped = store("x");
    drop(dropped);
    // Each has to be asked for separately.
    skipped.push(dropped.sequence);
    arrive(store("y"));
  }
  const reasons: (string | undefined)[] = [];
  onQuestion.do = async () => {
    reasons.push(frontier.stalled);
    vi.advanceTimersByTime(9_000);
  };

  readOn(6);

  await expect.poll(() => b.got).toHaveLength(6);
  const late = "durable publications are delivered late";
  // The others are queued after nine seconds.
  expect(reasons).toEqual([undefined, undefined, undefined, undefined, undefined, late]);
  expect(frontier.stalled).toBeUndefined();
});

test("an entry that was passed already does not move the frontier back, and is not delivered", async () => {
  const { a, b, frontier, store, readOn, arrive, drop, repeat, missed } = await worldOfTwo();
  const dropped = ["x", "z"].map(store);
  for (const each of dropped) drop(each, "x");
  arrive(store("y"));
  readOn(1);
  await expect.poll(() => frontier.position?.sequence).toBe(3);

  for (const each of dropped) repeat(each);

  expect(frontier.position?.sequence).toBe(3);
  arrive(store("y"));
  readOn(1);
  expect([a.got, b.got]).toEqual([[], ["y3 e1-3", "y4 e1-4"]]);
  expect(missed).toEqual([[a]]);
});

test("a worker that never could read the history is not ready once a durable publication arrives, and delivers it later", async () => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval"] });
  const a = subscription("a", "x");
  const { frontier, store, readOn, arrive, faults, counters, isReading } = world([a], {
    stored: 3,
    reason: "forbidden",
  });
  await frontier.ready();
  vi.advanceTimersByTime(60_000);
  expect(frontier.stalled).toBeUndefined();

  for (const each of [store("x"), store("x")]) arrive(each);

  expect(frontier.stalled).toBe("history cannot be read");
  // The worker keeps their content for a minute.
  vi.advanceTimersByTime(80_000);
  expect([frontier.stalled, counters.historyUnmatched]).toEqual(["history cannot be read", 0]);
  faults.reason = undefined;
  await isReading;
  readOn(5);
  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x4 e1-4", "x5 e1-5"]);
  expect(frontier.stalled).toBeUndefined();
});

const HOUR_MS = 3_600_000;

test("places that were forged before the history is read do not make a worker deliver what was stored earlier", async () => {
  const a = subscription("a", "x");
  const { frontier, store, drop, readOn, arrive, faults, isReading } = world([a], { reason: "unavailable" });
  const [dropped, earlier] = [store("x", HOUR_MS), store("x", HOUR_MS)] as const;
  drop(dropped, "none");
  const other = store("y");
  await frontier.ready();

  for (const each of [dropped, earlier, { ...other, topic: "x" }, store("x")]) arrive(each);
  faults.isUnreadable = true;
  faults.reason = undefined;
  await expect.poll(() => faults.reads).toBeGreaterThan(1);
  expect(frontier.position).toBeUndefined();
  faults.isUnreadable = false;
  await isReading;
  readOn(5);

  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x4 e1-4"]);
});

test("a publication that arrived before the history is read, and is dropped by then, is reported as missed", async () => {
  const a = subscription("a", "x");
  const { frontier, store, drop, readOn, arrive, faults, missed, isReading } = world([a], { reason: "unavailable" });
  store("x", HOUR_MS);
  const first = store("x");
  await frontier.ready();
  for (const each of [first, store("x")]) arrive(each);
  drop(first);

  faults.reason = undefined;
  await isReading;
  readOn(5);

  await expect.poll(() => missed).toEqual([[a]]);
  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x3 e1-3"]);
});

test("a worker without a history is ready, whatever place messages claim", async () => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval"] });
  const { frontier, store, arrive, counters } = world([subscription("a", "x")], { reason: "no-jetstream" });
  await frontier.ready();

  arrive(store("x"));
  vi.advanceTimersByTime(80_000);

  expect([frontier.stalled, counters.historyUnmatched]).toEqual([undefined, 1]);
});

test("a worker whose consumers receive nothing is not ready, and creates them at intervals", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { frontier, faults, consumers, endConsumer } = await readingWorld([]);
  faults.isSilent = true;
  endConsumer();
  await vi.waitUntil(() => consumers() === 3, { timeout: 3_000 });

  expect(frontier.stalled).toBeUndefined();
  vi.advanceTimersByTime(11_000);
  expect(frontier.stalled).toBe("history cannot be read");
  const [before, startedAt] = [consumers(), Date.now()];
  await vi.waitUntil(() => consumers() >= before + 3, { timeout: 5_000 });
  expect(Date.now() - startedAt).toBeGreaterThan(400);

  faults.isSilent = false;
  await expect.poll(() => frontier.stalled, { timeout: 3_000 }).toBeUndefined();
});

test("a message with a forged place does not replace the stored publication", async () => {
  const a = subscription("a", "x");
  const { frontier, store, readOn } = await readingWorld([a]);
  const real = store("x");
  const forged = contentOf({ ...real, topic: "a longer name" });
  if (forged) frontier.receive({ sequence: 1, subject: subjectOf("x") }, forged);

  readOn(1);

  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x1 e1-1"]);
});

test("an error in one delivery does not stop later ones", async () => {
  const a = subscription("a", "x");
  const { store, readOn, arrive } = await readingWorld([a]);
  vi.spyOn(a.got, "push").mockImplementationOnce(() => {
    throw new Error("refused");
  });
  for (const each of [store("x"), store("x")]) arrive(each);

  readOn(2);

  await expect.poll(() => a.got).toEqual(["x2 e1-2"]);
});

test("with lost, late and duplicate messages and ended consumers, everything is delivered once, in order", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("store" as const), topic: fc.constantFrom("x", "y", "z") }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("arrive" as const), at: fc.nat(50) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), count: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("end" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const [a, b] = [subscription("a", "x", "y"), subscription("b", "y")];
      const { frontier, store, readOn, arrive, endConsumer } = await readingWorld([a, b]);
      const all: Stored[] = [];
      for (const each of steps) {
        if (each.kind === "store") all.push(store(each.topic));
        else if (each.kind === "arrive" && all.length > 0) arrive(all[each.at % all.length] as Stored);
        else if (each.kind === "read") readOn(each.count);
        else if (each.kind === "end") endConsumer();
        await Promise.resolve();
      }
      for (const each of all) arrive(each);
      await vi.waitUntil(
        () => {
          readOn(100);
          return frontier.position?.sequence === all.length;
        },
        { timeout: 5_000, interval: 5 },
      );

      const due = ({ topics }: Sub) =>
        all.filter(({ topic }) => topics.includes(topic)).map((each) => `${textOf(each)} e1-${each.sequence}`);
      expect([a.got, b.got]).toEqual([due(a), due(b)]);
    }),
    { numRuns: 100 },
  );
});
