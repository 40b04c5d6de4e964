import { expect, test } from "vitest";
import { type ChannelPeer, connectPeer } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";
import { reply } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { untilMetric } from "./metrics.ts";

const {
  nats,
  channels: [one, other],
} = useCluster();
/** Events of 900 kB, more than the kernel buffers for a peer and less than the half at which publishers wait. */
const FLOOD = 8;
const item = (queue: string, data: number) => reply("queue", queue, data);

/** Makes the peer reserve an item after each received one, as `Client::watch` does by default. */
function consumeAll(peer: ChannelPeer, queue: string): void {
  let answered = 0;
  peer.watch(queue);
  peer.reserve();
  peer.socket.on("data", () => {
    for (; answered < peer.payloads.length; answered++) peer.reserve();
  });
}

/** Enqueues numbers by a peer of the server, and waits until they are stored. */
async function store({ adminUrl }: TestChannel, producer: ChannelPeer, queue: string, numbers: readonly number[]) {
  const stored = () => metric(adminUrl, "fanwire_channel_queue_items_total", { outcome: "stored" });
  const before = await stored();
  for (const number of numbers) producer.enqueue([queue], number);
  await until("all items are stored", async () => (await stored()) >= before + numbers.length);
}

test("items survive the death of their channel server, keep their order, and are delivered to one consumer each", async () => {
  const total = 300;
  await using killed = await startChannel({ nats: nats.url });
  using producer = await connectPeer(killed);
  await store(killed, producer, "survivors", [...Array(total).keys()]);
  await killed.process.stop("SIGKILL");
  const consumers = [await connectPeer(one), await connectPeer(other), await connectPeer(other)];
  for (const consumer of consumers) consumeAll(consumer, "survivors");

  const all = () => consumers.flatMap(({ payloads }) => payloads);
  await until("all items", () => all().length >= total);

  expect(new Set(all()).size).toBe(total);
  expect(all().length).toBe(total);
  const numbers = (peer: ChannelPeer) => peer.payloads.map((payload) => Number(/i:(\d+);}$/.exec(payload)?.[1]));
  for (const consumer of consumers) {
    expect(numbers(consumer)).toEqual(numbers(consumer).sort((a, b) => a - b));
    expect(consumer.payloads.length, "nobody starves").toBeGreaterThan(0);
  }
});

test("items are not lost when a server with consumers is killed", async () => {
  await using killed = await startChannel({ nats: nats.url });
  using producer = await connectPeer(one);
  using victim = await connectPeer(killed);
  using survivor = await connectPeer(one);
  consumeAll(victim, "killed");
  await until("the victim receives items", () => {
    producer.enqueue(["killed"], -1);
    return victim.payloads.length > 0;
  });
  victim.unwatch("killed");
  await victim.settle();
  victim.watch("killed");
  await killed.process.stop("SIGKILL");

  for (let count = 0; count < 20; count++) producer.enqueue(["killed"], count);
  consumeAll(survivor, "killed");

  const got = () => survivor.payloads.filter((payload) => payload !== item("killed", -1));
  await until("all items", () => got().length >= 20);
  expect(got()).toEqual(Array.from({ length: 20 }, (_, count) => item("killed", count)));
});

test("an item that is not written before its consumer dies is redelivered to another consumer, before later items", async () => {
  using producer = await connectPeer(one);
  using blocked = await connectPeer(one);
  using next = await connectPeer(other);
  const { adminUrl } = one;
  const deliveries = () => metric(adminUrl, "fanwire_channel_deliveries_total");
  const before = await deliveries();
  // Unread bytes fill the kernel's buffers, so that nothing more can be written to the peer.
  blocked.socket.pause();
  blocked.subscribe("flood");
  blocked.watch("blocked");
  blocked.reserve();
  for (let count = 0; count < FLOOD; count++) producer.publish(["flood"], "x".repeat(900_000));
  await until("the peer is flooded", async () => (await deliveries()) === before + FLOOD);
  expect(await metric(adminUrl, "fanwire_channel_unsent_bytes")).toBeGreaterThan(1_000_000);
  producer.enqueue(["blocked"], 1);
  await until("the blocked peer has the item", async () => (await deliveries()) === before + FLOOD + 1);
  await store(one, producer, "blocked", [2]);
  const returned = () => metric(adminUrl, "fanwire_channel_queue_items_total", { outcome: "returned" });
  const returnedBefore = await returned();

  blocked.socket.resetAndDestroy();
  await until("the item is returned", async () => (await returned()) > returnedBefore);
  consumeAll(next, "blocked");

  await until("both items", () => next.payloads.length === 2);
  expect(next.payloads).toEqual([item("blocked", 1), item("blocked", 2)]);
});

test("a consumer that disconnects or unwatches after a reserve loses no item", async () => {
  using producer = await connectPeer(one);
  using leaver = await connectPeer(one);
  using unwatcher = await connectPeer(other);
  using stayer = await connectPeer(other);
  for (const peer of [leaver, unwatcher]) {
    peer.watch("left");
    peer.reserve();
    await peer.settle();
  }
  leaver.socket.end();
  await until("the consumer is disconnected", () => leaver.isClosed());
  unwatcher.unwatch("left");
  await unwatcher.settle();

  await store(one, producer, "left", [1]);
  stayer.watch("left");
  stayer.reserve();

  await until("the item", () => stayer.payloads.length === 1, 5_000);
  expect([leaver.payloads, unwatcher.payloads]).toEqual([[], []]);
});

test("while NATS is unavailable items are buffered, and are stored in order after the reconnect", async () => {
  await using own = await startNats();
  await using channel = await startChannel({ nats: own.url });
  using peer = await connectPeer(channel);
  peer.watch("patient");
  peer.reserve();
  await peer.settle();
  await own.stop();
  await until("the loss is detected", async () => (await fetch(`${channel.adminUrl}/readyz`)).status === 503);

  for (let count = 0; count < 50; count++) peer.enqueue(["patient"], count);
  await untilMetric("the items wait", channel, "fanwire_channel_unstored_items", 50);
  await own.restart();
  consumeAll(peer, "patient");

  await until("all items", () => peer.payloads.length >= 50, 40_000);
  expect(peer.payloads).toEqual(Array.from({ length: 50 }, (_, count) => item("patient", count)));
});

test("without JetStream events work, queue items are buffered up to a bound, and backpressure stops their senders", async () => {
  await using own = await startNats([], { jetStream: false });
  await using channel = await startChannel({ nats: own.url, env: { CHANNEL_MAX_UNSTORED_BYTES: "1000000" } });
  using sender = await connectPeer(channel);
  using subscriber = await connectPeer(channel);
  subscriber.subscribe("event");
  await subscriber.settle();

  sender.publish(["event"], 1);
  await until("the event", () => subscriber.payloads.length === 1);
  for (let count = 0; count < 100; count++) sender.enqueue(["stuck"], "x".repeat(100_000));

  await untilMetric("the sender has to wait", channel, "fanwire_channel_waiting_peers", 1);
  expect(await metric(channel.adminUrl, "fanwire_channel_unstored_bytes")).toBeLessThan(1_200_000);
  await until("the log has the reason", () =>
    channel.process.logLines().some(({ msg }) => msg === "queue items not stored, retrying"),
  );
});

test("items of 10 MiB are delivered if NATS accepts them; otherwise the server logs a warning and counts each dropped item", async () => {
  await using large = await startNats([], { config: "max_payload: 11MB" });
  await using server = await startChannel({ nats: large.url });
  using consumer = await connectPeer(server);
  using producer = await connectPeer(server);
  consumer.watch("large");
  consumer.reserve();
  await consumer.settle();

  producer.enqueue(["large"], "x".repeat(10_485_760 - 200));

  await until("the item is received", () => consumer.payloads.length === 1);
  const isWarned = (channel: TestChannel) =>
    channel.process.logLines().some(({ msg }) => String(msg).startsWith("max_payload of NATS is below"));
  expect(isWarned(server)).toBe(false);

  await using small = await startNats();
  await using limited = await startChannel({ nats: small.url });
  using sender = await connectPeer(limited);
  sender.enqueue(["large"], "x".repeat(2_000_000));
  await untilMetric("the item is counted", limited, "fanwire_channel_queue_items_total", 1, { outcome: "too-large" });
  expect(isWarned(limited)).toBe(true);
  expect(limited.process.logLines()).toContainEqual(
    expect.objectContaining({ level: "error", msg: "queue item too large for NATS, dropped" }),
  );
});

test("an item that never fits in the stream does not block later items", async () => {
  await using nats = await startNats();
  await using server = await startChannel({ nats: nats.url, env: { CHANNEL_QUEUE_MAX_BYTES: "65536" } });
  using peer = await connectPeer(server);
  peer.watch("after");
  peer.reserve();

  for (const bytes of [100_000, 65_450]) peer.enqueue(["too large"], "x".repeat(bytes));
  peer.enqueue(["after"], 1);

  await until("the item behind it is received", () => peer.payloads.length === 1);
  expect(await metric(server.adminUrl, "fanwire_channel_queue_items_total", { outcome: "too-large" })).toBe(2);
});
