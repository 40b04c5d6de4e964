import { expect, test } from "vitest";
import { connectPeer } from "../support/channel-peer.ts";
import { metric, readiness, startChannel, untilReady } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";
import { reply } from "../support/php-value.ts";
import { until } from "../support/wait.ts";
import { untilMetric } from "./metrics.ts";

const notReady = (adminUrl: string) =>
  until("the server is not ready", async () => (await readiness(adminUrl)).status === 503);

test("while NATS is unavailable a server's own peers receive each other's events; after the reconnect all peers do", async () => {
  await using nats = await startNats();
  await using one = await startChannel({ nats: nats.url });
  await using other = await startChannel({ nats: nats.url });
  using here = await connectPeer(one);
  using alsoHere = await connectPeer(one);
  using there = await connectPeer(other);
  for (const peer of [alsoHere, there]) {
    peer.subscribe("news");
    await peer.settle();
  }

  await nats.stop();
  await Promise.all([notReady(one.adminUrl), notReady(other.adminUrl)]);
  here.subscribe("turns");
  alsoHere.subscribe("turns");
  there.subscribe("later");
  await Promise.all([here, alsoHere, there].map((peer) => peer.settle()));
  here.publish(["news"], "local");
  for (const data of [1, 2]) here.publishLoop(["turns"], data);
  await until(
    "the local peers received the events",
    () => alsoHere.payloads.length === 2 && here.payloads.length === 1,
  );
  expect(alsoHere.payloads).toEqual([reply("event", "news", "local"), reply("event", "turns", 1)]);
  expect(here.payloads).toEqual([reply("event", "turns", 2)]);
  expect(await metric(one.adminUrl, "fanwire_channel_kept_events_total", { reason: "unavailable" })).toBeGreaterThan(2);

  await nats.restart();
  await Promise.all([untilReady(one.adminUrl), untilReady(other.adminUrl)]);
  here.publish(["news"], "global");
  here.publish(["later"], "subscribed meanwhile");
  await until("all peers received the events", () => there.payloads.length === 2 && alsoHere.payloads.length === 3);
  expect(there.payloads).toEqual([reply("event", "news", "global"), reply("event", "later", "subscribed meanwhile")]);
  expect(alsoHere.payloads.slice(2)).toEqual([reply("event", "news", "global")]);
  expect([one.process.exit(), other.process.exit()]).toEqual([undefined, undefined]);
});

test("a server that starts without NATS serves its own peers, and joins the cluster when NATS is available", async () => {
  await using nats = await startNats();
  await nats.stop();
  await using early = await startChannel({ nats: nats.url, isReady: false });
  using peer = await connectPeer(early);
  peer.subscribe("early", "broadcast");
  peer.watch("early");
  peer.reserve();
  await peer.settle();
  peer.publish(["early"], 1);
  peer.enqueue(["early"], 2);
  await until("the event", () => peer.payloads.length === 1);
  expect((await readiness(early.adminUrl)).status).toBe(503);

  await nats.restart();
  await untilReady(early.adminUrl);
  await until("the item", () => peer.payloads.length === 2);
  await using late = await startChannel({ nats: nats.url });
  using publisher = await connectPeer(late);
  publisher.publish(["early"], 3);

  await until("the event of another server", () => peer.payloads.length === 3);
  expect(peer.payloads).toEqual([reply("event", "early", 1), reply("queue", "early", 2), reply("event", "early", 3)]);
});

test("backpressure: publishers wait while NATS hangs, memory is bounded, and then the server's own peers are served", async () => {
  await using nats = await startNats();
  const maxBytes = 2_000_000;
  await using channel = await startChannel({
    nats: nats.url,
    env: { CHANNEL_MAX_UNCONFIRMED_BYTES: String(maxBytes) },
  });
  using publisher = await connectPeer(channel);
  using subscriber = await connectPeer(channel);
  subscriber.subscribe("flood");
  await subscriber.settle();

  nats.signal("SIGSTOP");
  const total = 400;
  for (let count = 0; count < total; count++) publisher.publish(["flood"], "x".repeat(100_000));
  await untilMetric("the publisher waits", channel, "fanwire_channel_waiting_peers", 1);
  expect(await metric(channel.adminUrl, "fanwire_channel_unconfirmed_bytes")).toBeLessThan(maxBytes + 200_000);
  expect(publisher.socket.writableLength, "TCP pushes back").toBeGreaterThan(10_000_000);
  expect((await readiness(channel.adminUrl)).status, "within the first seconds it is only slow").toBe(200);

  await notReady(channel.adminUrl);
  await until("the rest is delivered directly", () => subscriber.payloads.length > total - 40);
  nats.signal("SIGCONT");
  await untilReady(channel.adminUrl);
  // Events that NATS accepted before it hung arrive late, and nothing arrives twice.
  await until("all is delivered", () => subscriber.payloads.length >= total);
  await subscriber.settle();
  expect(subscriber.payloads.length).toBe(total);
});

test("backpressure: a peer that watches and unwatches queues without a pause waits while NATS hangs", async () => {
  await using nats = await startNats();
  const maxBytes = 1_000_000;
  const env = { CHANNEL_MAX_UNCONFIRMED_BYTES: String(maxBytes) };
  await using channel = await startChannel({ nats: nats.url, env });
  using peer = await connectPeer(channel);
  await peer.settle();

  nats.signal("SIGSTOP");
  for (let count = 0; count < 20_000; count++) {
    peer.watch("jobs");
    peer.reserve();
    peer.unwatch("jobs");
  }
  await untilMetric("the peer waits", channel, "fanwire_channel_waiting_peers", 1);

  expect(await metric(channel.adminUrl, "fanwire_channel_unconfirmed_bytes")).toBeLessThan(maxBytes + 1_000);
  nats.signal("SIGCONT");
  await peer.settle();
});

test("graceful shutdown: a stopping server processes received requests, closes its peers and exits with 0", async () => {
  await using nats = await startNats();
  await using one = await startChannel({ nats: nats.url });
  await using other = await startChannel({ nats: nats.url });
  using publisher = await connectPeer(one);
  using subscriber = await connectPeer(other);
  using consumer = await connectPeer(one);
  subscriber.subscribe("last");
  await subscriber.settle();
  consumer.watch("jobs");
  consumer.reserve();
  await consumer.settle();
  for (let count = 0; count < 2_000; count++) publisher.publish(["last"], count);
  publisher.enqueue(["kept"], 1);
  await publisher.settle();

  expect(await one.process.stop("SIGTERM")).toBe(0);

  await until("all events are delivered", () => subscriber.payloads.length === 2_000);
  await until("its peers are disconnected", () => publisher.isClosed() && consumer.isClosed());
  using next = await connectPeer(other);
  next.watch("kept");
  next.reserve();
  await until("the item was stored", () => next.payloads.length === 1);
  expect(subscriber.isClosed()).toBe(false);
});
