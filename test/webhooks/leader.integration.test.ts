import { type ClusterEvent, type EventName, Subjects } from "@fanwire/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { EventReporter } from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { heldLease, openWebhookJournals } from "../support/webhook-journals.ts";
import { Leader, newCounters, readWebhooksConfig } from "../support/webhooks-sources.ts";

/** Longer than a leader waits for the heartbeats of workers. */
const KNOWN_MS = 6_000;
const STEP_MS = 50;

const { nats } = useCluster();
let sources: Awaited<ReturnType<typeof openWebhookJournals>>;
const announced: ClusterEvent[] = [];

beforeAll(async () => {
  // Heartbeats of workers and of the bus, and the ticks of leaders, come when a test lets time pass.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  sources = await openWebhookJournals(nats.url);
  sources.bus.subscribe("fanwire.events.>", ({ data }) => announced.push(JSON.parse(Buffer.from(data).toString())));
});
afterAll(async () => {
  await sources.bus.stop();
  vi.useRealTimers();
});

const config = readWebhooksConfig({ FANWIRE_EVENTS: "client_published,subscription_count" });

function startLeader(id: string): Promise<Leader> {
  const parts = { ...sources, config, counters: newCounters() };
  return Leader.start({ id, lease: heldLease, parts, fail: () => {} });
}

function startWorker(workerId: string): EventReporter {
  const wanted = new Set<EventName>(["client_published", "subscription_count"]);
  return new EventReporter({ bus: sources.bus, subjects: new Subjects(), workerId, wanted });
}

/** Lets time pass, with everything that happens meanwhile. */
async function passes(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    vi.advanceTimersByTime(STEP_MS);
    await sources.bus.confirm();
  }
}

test("failover: a leader that stops announces the events that wait, and the next one does not repeat them", async () => {
  const [lives, ends] = [startWorker("aaaaaaa1"), startWorker("aaaaaaa5")];
  const first = await startLeader("first");
  await passes(KNOWN_MS);
  for (const worker of [lives, ends]) worker.happened({ name: "client_published", topic: "waits", data: "1" });
  await until("the events wait", () => first.unstoredEvents === 2);
  await ends.stop();
  await first.stop();
  const second = await startLeader("second");
  await passes(KNOWN_MS);

  expect(announced.filter(({ topic }) => topic === "waits").map(({ id }) => id)).toEqual(["aaaaaaa1-1", "aaaaaaa5-1"]);
  await second.stop();
  await lives.stop();
});

test("failover: a leader announces no count before it knows all workers", async () => {
  const one = startWorker("aaaaaaa2");
  await passes(500);
  const two = startWorker("aaaaaaa3");
  one.topicCounted("counted", 5);
  two.topicCounted("counted", 7);
  await until("both are reported", () => one.sentReports + two.sentReports === 2);
  const leader = await startLeader("third");
  await passes(2 * KNOWN_MS);

  expect(countsOf("counted")).toEqual([12]);
  await leader.stop();
  for (const worker of [one, two]) await worker.stop();
});

test("failover: a leader announces 0 for the topics that became empty while none led", async () => {
  const worker = startWorker("aaaaaaa4");
  const first = await startLeader("fourth");
  worker.topicCounted("saved", 1);
  await until("it is reported", () => worker.sentReports === 1);
  await passes(3 * KNOWN_MS);
  worker.topicCounted("stored", 2);
  await until("it is reported", () => worker.sentReports === 2);
  await passes(STEP_MS);
  await until("it is announced", () => countsOf("stored").length === 1);
  await first.abandon();
  for (const topic of ["saved", "stored"]) worker.topicCounted(topic, 0);
  await until("both ends are reported", () => worker.sentReports === 3);
  const second = await startLeader("fifth");
  await passes(2 * KNOWN_MS);

  expect([countsOf("saved"), countsOf("stored")]).toEqual([
    [1, 0],
    [2, 0],
  ]);
  await second.stop();
  await worker.stop();
});

test("failover: a leader that fails ends its save before another one may lead", async () => {
  const replace = sources.journal.replace.bind(sources.journal);
  let save = () => {};
  const mayBeSaved = new Promise<void>((resolve) => (save = resolve));
  const leader = await startLeader("sixth");
  const replaced = vi.spyOn(sources.journal, "replace").mockImplementation(async (...args) => {
    await mayBeSaved;
    return replace(...args);
  });
  await passes(2 * KNOWN_MS);
  expect(replaced).toHaveBeenCalledTimes(1);
  let hasEnded = false;
  const ended = leader.abandon().then(() => (hasEnded = true));
  await sources.bus.confirm();
  expect(hasEnded).toBe(false);

  save();
  await ended;
});

function countsOf(topic: string): unknown[] {
  return announced.filter((event) => event.topic === topic).map(({ count }) => count);
}
