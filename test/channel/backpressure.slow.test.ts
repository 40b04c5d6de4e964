import { expect, test } from "vitest";
import { type ChannelPeer, connectPeer, connectPeers, frame } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { residentBytes } from "../support/flat-memory.ts";
import { serialize } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { closedPeers, untilMetric } from "./metrics.ts";

const MIB = 1_048_576;
const { nats } = useCluster();

async function subscribed(server: TestChannel, ...names: string[]): Promise<ChannelPeer> {
  const peer = await connectPeer(server);
  peer.subscribe(...names);
  await peer.settle();
  return peer;
}

const slowSubscriberPauses = ({ adminUrl }: TestChannel) =>
  metric(adminUrl, "fanwire_channel_pauses_total", { reason: "slow-subscriber" });

/** Reads only part of the time, so that the peer is slower than its publishers. */
function readSlowly({ socket }: ChannelPeer): Disposable {
  socket.pause();
  let bytes = 0;
  socket.on("data", (chunk) => {
    bytes += chunk.length;
    if (bytes < 500_000) return;
    bytes = 0;
    socket.pause();
  });
  const timer = setInterval(() => socket.resume(), 25);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

test("a slow consumer of 500 events of 2 MiB takes bounded memory and is closed, and others are served", async () => {
  await using channel = await startChannel({ nats: nats.url });
  const names = Array.from({ length: 500 }, (_, at) => `event ${at}`);
  using reader = await subscribed(channel, ...names);
  using publisher = await connectPeer(channel);
  using other = await subscribed(channel, "event 499");
  reader.socket.pause();
  const before = residentBytes(channel.process.pid);

  publisher.publish(names, "x".repeat(2 * MIB));
  await untilMetric("the publisher waits", channel, "fanwire_channel_slow_peers", 1);
  let most = 0;
  await until("the reader is closed", async () => {
    most = Math.max(most, residentBytes(channel.process.pid));
    await other.settle();
    return (await closedPeers(channel, "not-reading")) === 1;
  });

  expect(most - before).toBeLessThan(100 * MIB);
  await until("the other peer has its event", () => other.payloads.length === 1);
  await untilMetric("the publisher is read from again", channel, "fanwire_channel_waiting_peers", 0);
  expect(await metric(channel.adminUrl, "fanwire_channel_unsent_bytes")).toBe(0);
  expect(await metric(channel.adminUrl, "fanwire_channel_buffered_bytes")).toBeLessThan(MIB);
  expect(await slowSubscriberPauses(channel)).toBeGreaterThan(0);
});

test.each([
  ["other publishers", 3],
  ["publications of the subscriber itself", 0],
])("backpressure: %s wait for a slower subscriber, which receives everything", async (_, others) => {
  await using channel = await startChannel({ nats: nats.url, env: { CHANNEL_MAX_UNSENT_BYTES: String(2 * MIB) } });
  using subscriber = await subscribed(channel, "flood");
  const publishers = others > 0 ? await connectPeers(channel, others) : [subscriber];
  using _reading = readSlowly(subscriber);

  const each = 800;
  for (const publisher of publishers) {
    for (let count = 0; count < each; count++) publisher.publish(["flood"], "x".repeat(30_000));
  }
  await until("everything is received", () => subscriber.payloads.length === each * publishers.length, 60_000);

  expect(subscriber.isClosed()).toBe(false);
  expect(await slowSubscriberPauses(channel)).toBeGreaterThan(0);
});

test("publishers to other events and on other servers do not wait for a stuck subscriber", async () => {
  await using channel = await startChannel({ nats: nats.url, env: { CHANNEL_MAX_UNSENT_BYTES: String(2 * MIB) } });
  await using elsewhere = await startChannel({ nats: nats.url });
  using stuck = await subscribed(channel, "stuck");
  using other = await subscribed(channel, "other");
  using publisher = await connectPeer(channel);
  using remote = await connectPeer(elsewhere);
  stuck.socket.pause();

  for (let count = 0; count < 400; count++) publisher.publish(["stuck"], "x".repeat(30_000));
  await untilMetric("its publisher waits", channel, "fanwire_channel_slow_peers", 1);
  const publications = await metric(channel.adminUrl, "fanwire_channel_received_events_total");
  for (let count = 0; count < 100; count++) other.publish(["other"], count);
  await until("the others are served", () => other.payloads.length === 100);
  expect(await metric(channel.adminUrl, "fanwire_channel_received_events_total")).toBe(publications + 100);

  // This server cannot slow down publishers of another server.
  for (let count = 0; count < 100; count++) remote.publish(["stuck"], "x".repeat(30_000));
  await until("the stuck peer is closed", () => closedPeers(channel, "unsent-bytes").then((count) => count === 1));
  await untilMetric("its publisher continues", channel, "fanwire_channel_waiting_peers", 0);
});

test("large frames of many peers take bounded memory, and all of them are delivered", async () => {
  await using channel = await startChannel({
    nats: nats.url,
    env: { CHANNEL_MAX_BUFFERED_BYTES: String(40 * MIB), CHANNEL_FRAME_SECONDS: "0" },
  });
  using subscriber = await subscribed(channel, "large");
  const before = residentBytes(channel.process.pid);
  const senders = await connectPeers(channel, 30);
  const bytes = frame(serialize({ type: "publish", channels: ["large"], data: "x".repeat(5 * MIB) }));

  // Every frame lacks its last byte, so that none can be processed.
  for (const { socket } of senders) socket.write(bytes.subarray(0, -1));
  await until("some wait for room", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_waiting_frames")) > 20;
  });
  expect(await metric(channel.adminUrl, "fanwire_channel_unfinished_bytes")).toBeLessThan(20 * MIB);
  for (const { socket } of senders) socket.write(bytes.subarray(-1));

  await until("all are received", () => subscriber.payloads.length === senders.length, 60_000);
  expect(residentBytes(channel.process.pid) - before).toBeLessThan(150 * MIB);
  expect(senders.some((sender) => sender.isClosed())).toBe(false);
});

test("senders that stop in the middle of a large frame do not block others", async () => {
  await using channel = await startChannel({
    nats: nats.url,
    env: { CHANNEL_MAX_BUFFERED_BYTES: String(40 * MIB), CHANNEL_FRAME_SECONDS: "0" },
  });
  using subscriber = await subscribed(channel, "large");
  const idle = await connectPeers(channel, 2);
  using sender = await connectPeer(channel);
  const header = Buffer.from([0, 0x60, 0, 0]);
  for (const { socket } of idle) socket.write(Buffer.concat([header, Buffer.alloc(10_000)]));
  await untilMetric("one has the room", channel, "fanwire_channel_waiting_frames", 1);

  sender.publish(["large"], "x".repeat(6 * MIB));

  await until("the publication is received", () => subscriber.payloads.length === 1, 60_000);
  expect(await closedPeers(channel, "frame-time")).toBeGreaterThan(0);
});

test("events shared by many slow peers count once, and unsent bytes of all peers are bounded", async () => {
  await using channel = await startChannel({
    nats: nats.url,
    env: { CHANNEL_MAX_BUFFERED_BYTES: String(80 * MIB) },
  });
  await using elsewhere = await startChannel({ nats: nats.url });
  const peers = await connectPeers(channel, 40);
  for (const [at, peer] of peers.entries()) peer.subscribe("shared", `own ${at}`);
  await Promise.all(peers.map((peer) => peer.settle()));
  using publisher = await connectPeer(elsewhere);
  for (const { socket } of peers) socket.pause();

  for (let count = 0; count < 8; count++) publisher.publish(["shared"], "x".repeat(900_000));
  await until("the event waits for all peers", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_unsent_bytes")) > 100 * MIB;
  });
  // While an event is handed over it counts once for each peer.
  await until("the event counts once", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_buffered_bytes")) < 40 * MIB;
  });
  expect(await metric(channel.adminUrl, "fanwire_channel_peers")).toBe(peers.length);

  for (let count = 0; count < 4; count++) {
    for (const at of peers.keys()) publisher.publish([`own ${at}`], "x".repeat(900_000));
  }
  await until("some are closed", async () => (await closedPeers(channel, "buffered-bytes")) > 0);
  await untilMetric("the publisher is done", elsewhere, "fanwire_channel_waiting_peers", 0);
  await until("all of it is within the budget", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_buffered_bytes")) <= 81 * MIB;
  });
});

test("one reserve on many queues of large items closes no reading consumer and delivers each item once", async () => {
  await using channel = await startChannel({ nats: nats.url, env: { CHANNEL_MAX_UNSENT_BYTES: String(2 * MIB) } });
  using producer = await connectPeer(channel);
  using consumer = await connectPeer(channel);
  const queues = Array.from({ length: 40 }, (_, at) => `large queue ${at}`);
  for (const name of queues) producer.enqueue([name], "x".repeat(900_000));
  await untilMetric("all items are stored", channel, "fanwire_channel_queue_items_total", queues.length, {
    outcome: "stored",
  });
  consumer.watch(...queues);
  await consumer.settle();
  using _ = readSlowly(consumer);

  consumer.reserve();

  await until("all are received", () => consumer.payloads.length === queues.length, 60_000);
  expect(consumer.isClosed()).toBe(false);
  const names = consumer.payloads.map((payload) => /large queue \d+/.exec(payload)?.[0]);
  expect(new Set(names).size).toBe(queues.length);
});
