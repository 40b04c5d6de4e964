import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { connectPeer, frame } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { reply, serialize } from "../support/php-value.ts";
import { longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const PEERS = 3_000;
const EVENTS = 2_000;
const LONGEST_TICK_MS = 50;

const { nats } = useCluster();

function startMonitored(): Promise<TestChannel> {
  return startChannel({ nats: nats.url, env: tickMonitor });
}

type Crowd = Disposable & { readonly sockets: readonly Socket[]; fewestBytes(): number };

/** Connects subscribers of the event "crowd" that count bytes alone: their frames would fill the memory of the test. */
async function connectCrowd(channel: TestChannel): Promise<Crowd> {
  const subscription = frame(serialize({ type: "subscribe", channels: ["crowd"] }));
  const received = new Map<Socket, number>();
  for (let count = 0; count < PEERS; count++) {
    const socket = connect(channel.port, "127.0.0.1");
    socket.on("error", () => {}); // the server may reset the connection
    socket.on("data", (chunk) => received.set(socket, (received.get(socket) ?? 0) + chunk.length));
    socket.write(subscription);
    received.set(socket, 0);
    if (count % 100 === 99) await until("100 peers are connected", () => !socket.connecting);
  }
  await until("all peers are subscribed", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_requests_total", { type: "subscribe" })) === PEERS;
  });
  return {
    sockets: [...received.keys()],
    fewestBytes: () => Math.min(...received.values()),
    [Symbol.dispose]: () => {
      for (const socket of received.keys()) socket.destroy();
    },
  };
}

test("2,000 events to 3,000 subscribers keep every tick below 50 ms of work", async () => {
  await using channel = await startMonitored();
  using crowd = await connectCrowd(channel);
  using publisher = await connectPeer(channel);
  const data = "x".repeat(100);
  const eventBytes = reply("event", "crowd", data).length + 4;
  await longestTickMs(channel);

  for (let count = 0; count < EVENTS; count++) publisher.publish(["crowd"], data);
  await until("all events are received", () => crowd.fewestBytes() >= EVENTS * eventBytes, 120_000);

  const longestMs = await longestTickMs(channel);
  console.log(`${EVENTS} events to ${PEERS} subscribers: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
  expect(crowd.fewestBytes()).toBe(EVENTS * eventBytes);
  expect(await metric(channel.adminUrl, "fanwire_channel_peers")).toBe(PEERS + 1);
});

test("3,000 slow subscribers are closed in ticks below 50 ms of work", async () => {
  await using channel = await startMonitored();
  using crowd = await connectCrowd(channel);
  using publisher = await connectPeer(channel);
  for (const socket of crowd.sockets) socket.pause();
  await longestTickMs(channel);

  for (let count = 0; count < 15_000; count++) publisher.publish(["crowd"], "x".repeat(1_000));
  await until(
    "all slow subscribers are closed",
    async () => (await metric(channel.adminUrl, "fanwire_channel_peers")) === 1,
    120_000,
  );

  const longestMs = await longestTickMs(channel);
  console.log(`${PEERS} slow subscribers: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
});
