import { type BusConfig, type BusMessage, JetStreamWorkQueue, NatsBus, openJetStreamHistory } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { startNats, type TestNats } from "../support/nats.ts";

const log = createLog("test", "silent");
const text = (content: string) => Buffer.from(content);
const limits = { maxAgeSeconds: 60, maxPerSubject: 10, maxBytes: 1_048_576, replicas: 1 };

function unconnectedBus({ url }: TestNats): NatsBus {
  const config: BusConfig = { servers: [url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined };
  return new NatsBus({ config, name: "test", log });
}

test("bus, history and queue exist before NATS: they answer unavailable, and subscriptions begin with the first connection", async () => {
  await using nats = await startNats();
  await nats.stop();
  const bus = unconnectedBus(nats);
  const subjects = new Subjects();
  const history = await openJetStreamHistory({ bus, subjects, config: limits, log });
  const queueConfig = { stream: "Q", subjects: "queue.>", maxBytes: 1_048_576, maxAgeMs: 0, replicas: 1 };
  const queue = new JetStreamWorkQueue(bus, queueConfig, log);
  const got: string[] = [];
  const onMessage = (message: BusMessage) => got.push(Buffer.from(message.data).toString());
  const connected = bus.connect(AbortSignal.timeout(20_000));
  bus.subscribe("kept", onMessage);
  bus.subscribe("ended", onMessage).unsubscribe();
  const topic = subjects.history({ kind: "topic", topic: "a" });

  expect(bus.health()).toEqual({ alive: false, reason: "NATS has not been reached yet" });
  expect(await bus.publish("kept", text("early"))).toEqual({ ok: false, reason: "unavailable" });
  expect(await bus.publishAll([{ subject: "kept", content: text("early") }])).toMatchObject([
    { reason: "unavailable" },
  ]);
  expect(bus.send("kept", text("early"))).toBe("unavailable");
  expect(await bus.confirm()).toBe(false);
  expect(await bus.request("kept", text("?"), { timeoutMs: 50 })).toMatchObject({ reason: "unavailable" });
  expect(await bus.gather("kept", text("?"), { maxWaitMs: 50 })).toMatchObject({ reason: "unavailable" });
  expect(bus.node()).toBeUndefined();
  expect(bus.traffic()).toMatchObject({ isConnected: false, sentMessages: 0 });
  expect(await history.append(topic, text("early"))).toMatchObject({ reason: "unavailable" });
  expect(await history.state()).toMatchObject({ reason: "unavailable" });
  expect(await history.describe()).toMatchObject({ reason: "unavailable" });
  expect(await history.read({ filter: topic, after: 0 })).toMatchObject({ reason: "unavailable" });
  expect(await history.count(topic)).toMatchObject({ reason: "unavailable" });
  expect(await history.find(1)).toMatchObject({ reason: "unavailable" });
  expect(await history.get(1)).toBeUndefined();
  expect(await queue.enqueue("queue.a", text("early"), "1")).toMatchObject({ reason: "unavailable" });

  await nats.restart();
  await connected;
  expect(bus.node()).toMatchObject({ name: expect.any(String), version: expect.stringMatching(/^\d+\.\d+/) });
  await bus.publishAll(["kept", "ended"].map((subject) => ({ subject, content: text(subject) })));
  await bus.confirm();
  expect(got).toEqual(["kept"]);
  expect(await history.append(topic, text("stored"))).toMatchObject({ ok: true, position: { sequence: 1 } });
  expect(await queue.enqueue("queue.a", text("stored"), "1")).toEqual({ ok: true });
  await bus.stop();
});

test("a bus that is stopped before it reached NATS never connects", async () => {
  await using nats = await startNats();
  await nats.stop();
  const bus = unconnectedBus(nats);
  const ended = expect(bus.connect(AbortSignal.timeout(20_000))).rejects.toThrow("aborted");

  await bus.stop();

  await ended;
  expect(bus.wasConnected).toBe(false);
});
