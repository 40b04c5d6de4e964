import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { connectPeer, frame } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { reply, serialize } from "../support/php-value.ts";
import { longestTickMs, longestTickUntilExitMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const PEERS = 3_000;
const EVENTS = 2_000;
/** Node reads the ends of all connections in one tick, which we cannot divide. */
const ENDING_PEERS = 2_000;
const LONGEST_TICK_MS = 50;

const { nats } = useCluster();

function startMonitored(env: Readonly<Record<string, string>> = {}): Promise<TestChannel> {
  return startChannel({ nats: nats.url, env: { ...tickMonitor, ...env } });
}

type Crowd = Disposable & { readonly sockets: readonly Socket[]; fewestBytes(): number };

const subscription = frame(serialize({ type: "subscribe", channels: ["crowd"] }));

/** Connects a hundred subscribers of the event "crowd" at a time. */
async function connectCrowd(channel: TestChannel, peers = PEERS): Promise<Crowd> {
  const crowd = connectAtOnce(channel, 0);
  while (crowd.sockets.length < peers) {
    const socket = crowd.connect();
    if (crowd.sockets.length % 100 === 0) await until("100 peers are connected", () => !socket.connecting);
  }
  await untilSubscribed(channel, peers);
  return crowd;
}

/** Connects subscribers that count bytes alone, because their frames would fill the memory of the test. */
function connectAtOnce(channel: TestChannel, peers: number): Crowd & { connect(): Socket } {
  const sockets: Socket[] = [];
  const received = new Map<Socket, number>();
  const connectOne = () => {
    const socket = connect(channel.port, "127.0.0.1");
    socket.on("error", () => {}); // the server may reset the connection
    socket.on("data", (chunk) => received.set(socket, (received.get(socket) ?? 0) + chunk.length));
    socket.write(subscription);
    received.set(socket, 0);
    sockets.push(socket);
    return socket;
  };
  for (let count = 0; count < peers; count++) connectOne();
  return {
    sockets,
    connect: connectOne,
    fewestBytes: () => Math.min(...received.values()),
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function untilSubscribed(channel: TestChannel, peers: number): Promise<unknown> {
  return until("all peers are subscribed", async () => {
    return (await metric(channel.adminUrl, "fanwire_channel_requests_total", { type: "subscribe" })) === peers;
  });
}

async function untilPeers(channel: TestChannel, count: number): Promise<void> {
  const peers = () => metric(channel.adminUrl, "fanwire_channel_peers");
  await until(`${count} peers are connected`, async () => (await peers()) === count, 120_000);
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
  await untilPeers(channel, 1);

  const longestMs = await longestTickMs(channel);
  console.log(`${PEERS} slow subscribers: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
});

test("3,000 peers with unfinished frames are closed in ticks below 50 ms of work", async () => {
  await using channel = await startMonitored({ CHANNEL_FRAME_SECONDS: "5" });
  using crowd = await connectCrowd(channel);
  await longestTickMs(channel);

  for (const socket of crowd.sockets) socket.write(subscription.subarray(0, 10));
  await untilPeers(channel, 0);

  const longestMs = await longestTickMs(channel);
  console.log(`${PEERS} unfinished frames: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
  expect(await metric(channel.adminUrl, "fanwire_channel_peers_closed_total", { reason: "frame-time" })).toBe(PEERS);
});

test("3,000 peers that connect at once, and a server that stops with them, take ticks below 50 ms of work", async () => {
  await using channel = await startMonitored();
  await longestTickMs(channel);

  using crowd = connectAtOnce(channel, PEERS);
  await untilSubscribed(channel, PEERS);
  const connectingMs = await longestTickMs(channel);
  const stoppingMs = await longestTickUntilExitMs(channel);

  console.log(`${PEERS} peers: longest tick ${connectingMs} ms of work at their connect, ${stoppingMs} ms at the stop`);
  expect(connectingMs).toBeLessThan(LONGEST_TICK_MS);
  expect(stoppingMs).toBeLessThan(LONGEST_TICK_MS);
  await until("all connections are closed", () => crowd.sockets.every((socket) => socket.destroyed));
});

test("2,000 peers that end at once take ticks below 50 ms of work", async () => {
  await using channel = await startMonitored();
  using crowd = await connectCrowd(channel, ENDING_PEERS);
  await longestTickMs(channel);

  for (const socket of crowd.sockets) socket.destroy();
  await untilPeers(channel, 0);

  const longestMs = await longestTickMs(channel);
  console.log(`${ENDING_PEERS} ending peers: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
});

test.each([
  ["objects", 49_900, (count: number) => list(count, () => 'O:8:"stdClass":1:{s:1:"a";i:1;}')],
  ["references", 49_900, (count: number) => list(count, (at) => (at === 0 ? "N;" : "R:6;"))],
  ["values", 900_000, (count: number) => list(count, () => "N;")],
])("a value of many %s is passed on in ticks below 50 ms of work", async (kind, count, serialized) => {
  await using channel = await startMonitored();
  using subscriber = await connectPeer(channel);
  using publisher = await connectPeer(channel);
  subscriber.subscribe("crowd");
  await subscriber.settle();
  const head = 'a:3:{s:4:"type";s:7:"publish";s:8:"channels";a:1:{i:0;s:5:"crowd";}s:4:"data";';
  const event = frame(Buffer.from(`${head}${serialized(count)}}`));
  const receive = async (events: number) => {
    await until("the event is received", () => subscriber.payloads.length === events, 60_000);
    return longestTickMs(channel);
  };
  // Before its code is compiled, the server takes several times as long.
  for (let round = 1; round <= 3; round++) {
    publisher.socket.write(event);
    await receive(round);
  }

  publisher.socket.write(event);
  const longestMs = await receive(4);

  console.log(`${count} ${kind}: longest tick ${longestMs} ms of work`);
  expect(longestMs).toBeLessThan(LONGEST_TICK_MS);
});

/** Returns a serialized array, whose first value is the sixth slot of the message. */
function list(count: number, valueAt: (at: number) => string): string {
  return `a:${count}:{${Array.from({ length: count }, (_, at) => `i:${at};${valueAt(at)}`).join("")}}`;
}
