import type { ClusterEvent } from "@fanwire/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { heldLease, openWebhookJournals } from "../support/webhook-journals.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";
import { EndpointSenders, EventLog, newCounters, Records, readWebhooksConfig } from "../support/webhooks-sources.ts";

const AFTER_RETRIES_MS = 360_000;

const { nats, bus } = useCluster();

afterEach(() => void vi.useRealTimers());

async function openSenders(...urls: readonly string[]) {
  const { bus: own, subjects, events, journal, log } = await openWebhookJournals(nats.url);
  const fail = () => {};
  const eventLog: EventLog = new EventLog((await events.open()).lastSequence, {
    ...{ journal: events, subjects, onFailed: fail },
    onStored: (sequence, event) => senders.onStored(sequence, event),
  });
  const endpoints = urls.map((url) => ({ url, secret: "0123456789abcdef", batch: 1 }));
  const counters = newCounters();
  const senders: EndpointSenders = await EndpointSenders.load({
    config: readWebhooksConfig({ WEBHOOKS_ENDPOINTS: JSON.stringify(endpoints) }),
    ...{ events, eventLog, records: new Records(journal, subjects), lease: heldLease, counters, log, fail },
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
  await using receiver = await startWebhookReceiver();
  receiver.respond = () => 410;
  vi.useFakeTimers({ toFake: ["Date"] });
  const first = await openSenders(receiver.url);
  const refused = event("a-1");
  first.eventLog.add(refused);
  await until("it is refused", () => first.counters.deliveries.get("endpoint-1")?.failed === 1);
  vi.setSystemTime(Date.now() + AFTER_RETRIES_MS);
  await until("it is given up", () => dead.length === 1);
  const letter = { endpoint: "endpoint-1", reason: "status 410", event: refused };
  expect(dead).toEqual([["fanwire.events.dead.endpoint-1", letter]]);
  await first.stop();

  receiver.respond = () => 200;
  const second = await openSenders(receiver.url);
  second.eventLog.add(event("a-2"));
  await until("the next event is delivered", () => second.counters.deliveries.get("endpoint-1")?.delivered === 1);
  expect(dead).toHaveLength(1);
  await second.stop();
});

test("checkpoint: the next sender delivers the events that the one before had accepted, in order", async () => {
  await using receiver = await startWebhookReceiver();
  receiver.respond = () => 503;
  const first = await openSenders(receiver.url);
  for (const id of ["b-1", "b-2", "b-3"]) first.eventLog.add(event(id));
  await first.eventLog.stored(first.eventLog.lastSequence);
  await first.stop();

  receiver.respond = () => 200;
  const second = await openSenders(receiver.url);
  await until("all are delivered", () => (second.counters.deliveries.get("endpoint-1")?.delivered ?? 0) >= 3);
  expect(second.counters.deliveries.get("endpoint-1")).toMatchObject({ delivered: 3, dead: 0 });
  await second.stop();
});

test("head-of-line blocking: endpoints that do not answer delay no other endpoint of the same host", async () => {
  await using receiver = await startWebhookReceiver();
  receiver.respond = ({ path }) => (path === "/answers" ? 200 : 0);
  const paths = ["/answers", "/a", "/b", "/c", "/d"];
  const { eventLog, counters, stop } = await openSenders(...paths.map((path) => new URL(path, receiver.url).href));
  for (let at = 0; at < 10; at++) eventLog.add({ ...event(`c-${at}`), topic: `t${at}` });

  await until("all are delivered", () => counters.deliveries.get("endpoint-1")?.delivered === 10);
  expect(counters.deliveries.get("endpoint-1")).toMatchObject({ failed: 0 });
  await receiver[Symbol.asyncDispose]();
  await stop();
});
