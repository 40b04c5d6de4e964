import type { Bus, BusMessage, EntryConsumer, EntryReceiver, History } from "@fanwire/bus";
import { type HistoryState, Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { newCounters } from "../connections/counters.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Frontier, type OrderedSubscription } from "./frontier.ts";

const subjects = new Subjects();
const subjectOf = (topic: string) => subjects.history({ kind: "topic", topic });
const log = createLog("test", "silent");

type Stored = { readonly sequence: number; readonly topic: string };
type Sub = OrderedSubscription & { readonly topics: readonly string[]; readonly got: string[] };

const subscription = (tag: string, ...topics: string[]): Sub => ({ tag, begunAt: 0, topics, got: [] });

/** A history whose entries and contents arrive when the test releases them. */
function world(subscriptions: readonly Sub[], options: { readonly stored?: number } = {}) {
  const stored = new Map<number, Stored>();
  let state: HistoryState = { epoch: "e1", firstSequence: 1, lastSequence: options.stored ?? 0, maxPerSubject: 1_000 };
  let receiver: EntryReceiver | undefined;
  let end: (reason: string) => void = () => {};
  let read = 0;
  let resumed = () => {};
  /** Resolves when entries are requested. */
  const isReading = new Promise<void>((resolve) => {
    resumed = resolve;
  });
  let lost: ReadonlySet<string> | "all" = new Set();
  const missed: Sub[][] = [];
  const counters = newCounters();

  const begin = (after: number, to: EntryReceiver) => {
    if (receiver === undefined) read = after;
    receiver = to;
    resumed();
  };
  const consume = async (after: number, to: EntryReceiver) => {
    receiver = undefined;
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    const consumer = {
      ended,
      name: "c",
      resume: () => begin(after, to),
      hurry() {},
      stop: (reason = "") => end(reason),
    };
    return { ok: true as const, consumer: consumer as unknown as EntryConsumer };
  };
  const history = {
    state: async () => ({ ok: true, history: state }),
    consume,
    get: async (sequence: number) => contentOf(stored.get(sequence)),
    find: async () => ({ ok: true, publication: undefined }),
    lostSubjects: async () => ({ ok: true, subjects: lost }),
  } as unknown as History;
  const frontier = new Frontier<Sub>({
    bus: { onConnection() {} } as unknown as Bus,
    history,
    subjects,
    budget: new MemoryBudget(1_000_000),
    counters,
    log,
    subscriptionsTo: (subject) =>
      subscriptions.filter(({ topics }) => topics.some((topic) => subjectOf(topic) === subject)),
    allSubscriptions: () => subscriptions,
    haveCommon: (one, other) => one.topics.length === other.topics.length,
    deliver: (to, message, { position, resume }) => to.got.push(`${Buffer.from(message.data)} ${resume ?? position}`),
    missed: (to) => missed.push([...to]),
    isCongested: () => false,
  });
  onTestFinished(() => frontier.stop());

  return {
    frontier,
    isReading,
    missed,
    counters,
    store(topic: string): Stored {
      const sequence = state.lastSequence + 1;
      state = { ...state, lastSequence: sequence };
      const each = { sequence, topic };
      stored.set(sequence, each);
      return each;
    },
    /** Delivers the next `count` entries, except dropped ones. */
    readOn(count: number) {
      for (let at = 0; at < count && receiver && read < state.lastSequence; at++) {
        const previous = read;
        do read++;
        while (!stored.has(read) && read < state.lastSequence);
        const entry = stored.get(read);
        if (entry)
          receiver.onEntry({ sequence: read, subject: subjectOf(entry.topic), bytes: bytesOf(entry) }, previous);
      }
    },
    arrive(each: Stored) {
      const message = contentOf(each);
      const place = message && frontier.placeOf(message);
      if (message && place) frontier.receive(place, message);
    },
    drop(each: Stored, ofSubjects: ReadonlySet<string> | "all") {
      stored.delete(each.sequence);
      lost = ofSubjects;
    },
    recreate() {
      stored.clear();
      state = { ...state, epoch: "e2", lastSequence: 0 };
    },
    endConsumer: () => end("an entry was lost"),
  };
}

const textOf = ({ sequence, topic }: Stored) => `${topic}${sequence}`;
const bytesOf = (each: Stored) => Buffer.byteLength(textOf(each));

function contentOf(each: Stored | undefined): BusMessage | undefined {
  if (each === undefined) return undefined;
  const headers = new Map([
    ["Nats-Stream", subjects.historyStream],
    ["Nats-Sequence", String(each.sequence)],
    ["Nats-Subject", subjectOf(each.topic)],
  ]);
  return {
    subject: subjects.live({ kind: "topic", topic: each.topic }),
    data: Buffer.from(textOf(each)),
    headers: { get: (name) => headers.get(name) ?? "" },
    respond: () => false,
  };
}

test("content that arrives in any order and repeatedly is delivered once, in stream order", async () => {
  const a = subscription("a", "x", "y");
  const { frontier, store, readOn, arrive, isReading } = world([a]);
  await isReading;
  const all = ["x", "y", "z", "x"].map(store);

  for (const each of [all[3], all[1], all[0], all[0], all[2]]) if (each) arrive(each);
  readOn(4);
  for (const each of all) arrive(each);

  // The frontier pauses after some milliseconds, and then delivers the rest in the next tick.
  await expect.poll(() => frontier.position).toEqual({ epoch: "e1", sequence: 4 });
  expect(a.got).toEqual(["x1 e1-1", "y2 e1-2", "x4 e1-4"]);
});

test("nothing overtakes a publication without content, which is fetched after a moment", async () => {
  const a = subscription("a", "x", "y");
  const { frontier, store, readOn, arrive, counters, isReading } = world([a]);
  await isReading;
  const [, second] = [store("x"), store("y")];
  readOn(2);

  if (second) arrive(second);

  expect(a.got).toEqual([]);
  expect(frontier.position?.sequence).toBe(0);
  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x1 e1-1", "y2 e1-2"]);
  expect(counters.historyFetched).toBe(1);
});

test("copies to one connection are delivered in the order of their tags, each but the last with its own position", async () => {
  const [a, b, c, d] = ["aa", "bb", "cc"].map((tag) => subscription(tag, "x")).concat(subscription("dd", "x", "y")) as [
    Sub,
    Sub,
    Sub,
    Sub,
  ];
  const { store, readOn, arrive, isReading } = world([d, b, a, c]);
  await isReading;
  arrive(store("x"));

  readOn(1);

  expect([a.got, b.got, c.got]).toEqual([["x1 e1-0.aa"], ["x1 e1-0.bb"], ["x1 e1-1"]]);
  // No connection receives this one and another.
  expect(d.got).toEqual(["x1 e1-1"]);
});

test("a worker starts at the end of the history, and reads a recreated one from its beginning, once", async () => {
  const a = subscription("a", "x");
  const { frontier, store, readOn, recreate, endConsumer, arrive, isReading } = world([a], { stored: 7 });
  await isReading;
  arrive(store("x"));
  readOn(1);

  recreate();
  const all = [store("x"), store("x")];
  for (const each of all) arrive(each);
  endConsumer();
  await expect.poll(() => frontier.position?.epoch).toBe("e2");
  // A consumer exists a moment after the state is known.
  await vi.waitUntil(() => {
    readOn(5);
    return a.got.length === 3;
  });

  expect(a.got).toEqual(["x8 e1-8", "x1 e2-1", "x2 e2-2"]);
});

test("subscriptions that lost a publication to the history's limits are reported, others continue", async () => {
  const [a, b] = [subscription("a", "x"), subscription("b", "y")];
  const { store, readOn, arrive, drop, missed, isReading } = world([a, b]);
  await isReading;
  const dropped = store("x");
  const next = store("y");
  drop(dropped, new Set([subjectOf("x")]));
  arrive(next);

  readOn(1);

  await expect.poll(() => b.got).toEqual(["y2 e1-2"]);
  expect(missed).toEqual([[a]]);
});

test("a message with a forged place does not replace the stored publication", async () => {
  const a = subscription("a", "x");
  const { frontier, store, readOn, isReading } = world([a]);
  await isReading;
  const real = store("x");
  const forged = contentOf({ ...real, topic: "a longer name" });
  if (forged) frontier.receive({ sequence: 1, subject: subjectOf("x") }, forged);

  readOn(1);

  await expect.poll(() => a.got, { timeout: 3_000 }).toEqual(["x1 e1-1"]);
});

test("an error in one delivery does not stop later ones", async () => {
  const a = subscription("a", "x");
  const { store, readOn, arrive, isReading } = world([a]);
  await isReading;
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
      const { frontier, store, readOn, arrive, endConsumer, isReading } = world([a, b]);
      await isReading;
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

      const due = (topics: readonly string[]) => all.filter(({ topic }) => topics.includes(topic)).map(textOf);
      const got = ({ got }: Sub) => got.map((text) => text.split(" ")[0]);
      expect([got(a), got(b)]).toEqual([due(["x", "y"]), due(["y"])]);
    }),
    { numRuns: 100 },
  );
});
