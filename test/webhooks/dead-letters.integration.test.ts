import { Journal, startNatsBus } from "@fanwire/bus";
import { type ClusterEvent, Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { afterEach, expect, test, vi } from "vitest";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { EndpointSenders, EventLog, newCounters, Records, readWebhooksConfig } from "../support/webhooks-sources.ts";

const AFTER_RETRIES_MS = 360_000;

const log = createLog("test", "silent");
const subjects = new Subjects();
const { nats, bus } = useCluster();

afterEach(() => void vi.useRealTimers());

async function openSenders(post: () => Promise<{ ok: true } | { ok: false; reason: string }>) {
  const own = await startNatsBus({
    config: { servers: [nats.url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined },
    ...{ name: "test", log, signal: AbortSignal.timeout(20_000) },
  });
  const limits = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };
  const [stored, saved] = [subjects.allStoredEvents, subjects.allWebhookRecords];
  const republishing = { stream: subjects.eventStream, subjects: stored, republishTo: subjects.allEvents };
  const events = new Journal(own, { ...republishing, ...limits, maxPerSubject: -1 }, log);
  const journal = new Journal(
    own,
    { stream: subjects.webhookStream, subjects: saved, ...limits, maxPerSubject: 1 },
    log,
  );
  await journal.open();
  const fail = () => {};
  const eventLog: EventLog = new EventLog((await events.open()).lastSequence, {
    ...{ journal: events, subjects, onFailed: fail },
    onStored: (sequence, event) => senders.onStored(sequence, event),
  });
  const never = new Promise<void>(() => {});
  const lease = { isValid: () => true, lost: never, release: async () => {}, abandon: () => {} };
  const endpoint = { url: "http://127.0.0.1:9/", secret: "0123456789abcdef" };
  const counters = newCounters();
  const senders: EndpointSenders = await EndpointSenders.load({
    config: readWebhooksConfig({ WEBHOOKS_ENDPOINTS: JSON.stringify([endpoint]) }),
    ...{ events, eventLog, records: new Records(journal, subjects), lease, counters, log, fail },
    poster: { post, stop: () => {} },
  });
  const stop = async () => {
    await senders.stop();
    await senders.save();
    await own.stop();
  };
  return { senders, eventLog, counters, stop };
}

const event = (id: string): ClusterEvent => ({
  id,
  name: "topic_occupied",
  time: new Date().toISOString(),
  topic: "t",
});

test("an event that is refused for five minutes is published as a dead letter, and the next sender does not deliver it", async () => {
  const dead: unknown[] = [];
  bus.subscribe("fanwire.events.dead.>", ({ subject, data }) => {
    dead.push([subject, JSON.parse(Buffer.from(data).toString())]);
  });
  await bus.confirm();
  vi.useFakeTimers({ toFake: ["Date"] });
  const first = await openSenders(async () => ({ ok: false, reason: "status 410" }));
  const refused = event("a-1");
  first.eventLog.add(refused);
  await until("it is refused", () => first.counters.deliveries.get("endpoint-1")?.failed === 1);
  vi.setSystemTime(Date.now() + AFTER_RETRIES_MS);
  await until("it is given up", () => dead.length === 1);
  const letter = { endpoint: "endpoint-1", reason: "status 410", event: refused };
  expect(dead).toEqual([["fanwire.events.dead.endpoint-1", letter]]);
  await first.stop();

  const second = await openSenders(async () => ({ ok: true }));
  second.eventLog.add(event("a-2"));
  await until("the next event is delivered", () => second.counters.deliveries.get("endpoint-1")?.delivered === 1);
  expect(dead).toHaveLength(1);
  await second.stop();
});

test("the next sender delivers the events that the one before had accepted, in order", async () => {
  const first = await openSenders(async () => ({ ok: false, reason: "status 503" }));
  for (const id of ["b-1", "b-2", "b-3"]) first.eventLog.add(event(id));
  await first.eventLog.stored(first.eventLog.lastSequence);
  await first.stop();

  const second = await openSenders(async () => ({ ok: true }));
  await until("all are delivered", () => (second.counters.deliveries.get("endpoint-1")?.delivered ?? 0) >= 3);
  expect(second.counters.deliveries.get("endpoint-1")).toMatchObject({ delivered: 3, dead: 0 });
  await second.stop();
});
