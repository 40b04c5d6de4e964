import type { Bus, BusMessage, RequestOutcome } from "@fanwire/bus";
import { type ReportedFact, Subjects, type WorkerReport } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { afterEach, expect, test, vi } from "vitest";
import { topicKey } from "./keys.ts";
import { Union } from "./union.ts";
import { Workers } from "./workers.ts";

const id = "aaaaaaaa";
const AFTER_SILENCE_MS = 5_001;
/** Longer than a worker keeps its events. */
const KEPT_MS = 61_000;

afterEach(() => void vi.useRealTimers());

/** Opens the workers of a leader. `answer` takes the place of the worker when its snapshot is requested. */
function openWorkers(answer: () => RequestOutcome | Promise<RequestOutcome>, lastEvents = new Map<string, number>()) {
  let receive = (_message: Pick<BusMessage, "data">) => {};
  const bus = {
    subscribe: (_subject: string, receiver: typeof receive) => {
      receive = receiver;
      return { unsubscribe: () => {} };
    },
    request: async () => answer(),
  };
  const union = new Union({ onPresence: () => {}, onCount: () => {} });
  const events: number[] = [];
  const workers = new Workers({
    bus: bus as unknown as Bus, // the rest of the bus is not used
    ...{ subjects: new Subjects(), union, lastEvents, log: createLog("test", "silent") },
    onEvent: (_worker, number) => events.push(number),
    onSnapshot: () => {},
  });
  const report = (own: Partial<WorkerReport>) =>
    receive({ data: Buffer.from(JSON.stringify({ worker: id, number: 0, facts: [], ...own })) });
  return { workers, union, events, report };
}

function snapshot(facts: readonly ReportedFact[], number = 0): RequestOutcome {
  const data = Buffer.from(JSON.stringify({ worker: id, id: "s", number, facts }));
  return { ok: true, message: { subject: "", data, respond: () => false } };
}

const event = (number: number): ReportedFact => [
  "event",
  number,
  { id: `${id}-${number}`, name: "client_published", time: "2026-01-01T00:00:00.000Z", topic: "t" },
];

async function ticks(): Promise<void> {
  for (let tick = 0; tick < 5; tick++) await new Promise((resolve) => setImmediate(resolve));
}

test("a worker that returns before its removal is complete keeps its topics", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  let answerFirst = (_outcome: RequestOutcome) => {};
  const first = new Promise<RequestOutcome>((resolve) => (answerFirst = resolve));
  let requests = 0;
  const { workers, union, report } = openWorkers(() => {
    requests++;
    return requests === 1 ? first : snapshot([["occupied", "t"]]);
  });
  report({});
  await ticks();
  vi.advanceTimersByTime(AFTER_SILENCE_MS);
  workers.removeSilent();
  report({});
  await ticks();
  expect(workers.areKnown).toBe(false);

  answerFirst({ ok: false, reason: "timeout" });
  await ticks();
  expect([union.has(topicKey("t")), workers.areKnown]).toEqual([true, true]);
});

test("a worker that ends during its snapshot loses none of its events", async () => {
  const topics = Array.from({ length: 5_000 }, (_, at): ReportedFact => ["occupied", `t${at}`]);
  const { union, events, report } = openWorkers(() => snapshot([...topics, event(1)]));
  report({});
  report({ number: 1, facts: [event(2)] });
  for (let at = 0; at < 50; at++) await Promise.resolve();
  // The topics are known, and the events of the snapshot are processed in the next tick.
  expect([union.has(topicKey("t4999")), events]).toEqual([true, []]);

  report({ number: 1, ended: true });
  await ticks();

  expect(events).toEqual([1, 2]);
});

test("a worker that was known to an earlier leader may still send events, although it is silent", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { workers } = openWorkers(() => snapshot([]), new Map([[id, 3]]));
  vi.advanceTimersByTime(KEPT_MS);
  workers.removeSilent();
  expect(workers.ids).toEqual(new Set([id]));

  vi.advanceTimersByTime(KEPT_MS);
  workers.removeSilent();
  expect(workers.ids).toEqual(new Set());
});
