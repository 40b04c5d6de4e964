import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { connectPeer, frame } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { reply, serialize } from "../support/php-value.ts";
import { expectShortTicks, longestTickMs, longestTickUntilExitMs, tickMonitor } from "../support/tick-monitor.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { untilMetric } from "./metrics.ts";

const PEERS = 3_000;
const EVENTS = 2_000;
/** Node reads the ends of all connections in one tick, which we cannot divide. */
const ENDING_PEERS = 2_000;

const { nats } = useCluster({ nats: "max_payload: 11MB" });

function startMonitored(env: Readonly<Record<string, string>> = {}): Promise<TestChannel> {
  return startChannel({ nats: nats.url, env: { ...tickMonitor, ...env } });
}

type Crowd = Disposable & {
  readonly sockets: readonly Socket[];
  /** Bytes that each subscriber has received. */
  receivedBytes(): number[];
};

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
    receivedBytes: () => [...received.values()],
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function untilSubscribed(channel: TestChannel, peers: number): Promise<unknown> {
  const labels = { type: "subscribe" };
  return untilMetric("all peers are subscribed", channel, "fanwire_channel_requests_total", peers, labels);
}

async function untilPeers(channel: TestChannel, count: number): Promise<void> {
  const peers = () => metric(channel.adminUrl, "fanwire_channel_peers");
  await until(`${count} peers are connected`, async () => (await peers()) === count, 120_000);
}

test("2,000 events reach each of 3,000 subscribers once, in ticks below 50 ms of work", async () => {
  await expectShortTicks(`${EVENTS} events to ${PEERS} subscribers`, async () => {
    await using channel = await startMonitored();
    using crowd = await connectCrowd(channel);
    using publisher = await connectPeer(channel);
    const data = "x".repeat(100);
    const allBytes = EVENTS * (reply("event", "crowd", data).length + 4);
    await longestTickMs(channel);

    for (let count = 0; count < EVENTS; count++) publisher.publish(["crowd"], data);
    await until("all events are received", () => Math.min(...crowd.receivedBytes()) >= allBytes, 120_000);

    const longestMs = await longestTickMs(channel);
    expect(new Set(crowd.receivedBytes())).toEqual(new Set([allBytes]));
    expect(await metric(channel.adminUrl, "fanwire_channel_peers")).toBe(PEERS + 1);
    return longestMs;
  });
});

test("3,000 slow subscribers are closed in ticks below 50 ms of work", async () => {
  await expectShortTicks(`${PEERS} slow subscribers`, async () => {
    await using channel = await startMonitored();
    using crowd = await connectCrowd(channel);
    using publisher = await connectPeer(channel);
    for (const socket of crowd.sockets) socket.pause();
    await longestTickMs(channel);

    for (let count = 0; count < 15_000; count++) publisher.publish(["crowd"], "x".repeat(1_000));
    await untilPeers(channel, 1);

    return await longestTickMs(channel);
  });
});

test("3,000 peers with unfinished frames are closed in ticks below 50 ms of work", async () => {
  await expectShortTicks(`${PEERS} unfinished frames`, async () => {
    await using channel = await startMonitored({ CHANNEL_FRAME_SECONDS: "5" });
    using crowd = await connectCrowd(channel);
    await longestTickMs(channel);

    for (const socket of crowd.sockets) socket.write(subscription.subarray(0, 10));
    await untilPeers(channel, 0);

    const longestMs = await longestTickMs(channel);
    expect(await metric(channel.adminUrl, "fanwire_channel_peers_closed_total", { reason: "frame-time" })).toBe(PEERS);
    return longestMs;
  });
});

test("3,000 peers that connect at the same time, and a server that stops with them, take ticks below 50 ms of work", async () => {
  await expectShortTicks(`${PEERS} peers that connect, and a stop`, async () => {
    await using channel = await startMonitored();
    await longestTickMs(channel);

    using crowd = connectAtOnce(channel, PEERS);
    await untilSubscribed(channel, PEERS);
    const connectingMs = await longestTickMs(channel);
    const stoppingMs = await longestTickUntilExitMs(channel);

    await until("all connections are closed", () => crowd.sockets.every((socket) => socket.destroyed));
    return Math.max(connectingMs, stoppingMs);
  });
});

test("2,000 peers that end at the same time take ticks below 50 ms of work", async () => {
  await expectShortTicks(`${ENDING_PEERS} ending peers`, async () => {
    await using channel = await startMonitored();
    using crowd = await connectCrowd(channel, ENDING_PEERS);
    await longestTickMs(channel);

    for (const socket of crowd.sockets) socket.destroy();
    await untilPeers(channel, 0);

    return await longestTickMs(channel);
  });
});

const values = {
  objects: list(49_900, () => 'O:8:"stdClass":1:{s:1:"a";i:1;}'),
  references: list(49_900, (at) => (at === 0 ? "N;" : "R:6;")),
  values: list(900_000, () => "N;"),
  "values and a reference": list(900_000, (at) => (at === 1 ? "R:6;" : "N;")),
  "text keys and a reference": entries(95_000, (at) => `${encodeString(`key${at}`)}${at === 1 ? "R:6;" : "N;"}`),
};

test.each(Object.entries(values))(
  "a value of many %s is passed on in ticks below 50 ms of work",
  async (kind, value) => {
    await using channel = await startMonitored();
    using peer = await connectPeer(channel);
    using publisher = await connectPeer(channel);
    peer.subscribe("crowd");
    peer.watch("jobs");
    await peer.settle();
    const request = (type: string, name: string) => {
      const head = `s:4:"type";${encodeString(type)}s:8:"channels";a:1:{i:0;${encodeString(name)}}s:4:"data";`;
      return frame(Buffer.from(`a:3:{${head}${value}}`));
    };
    const receive = async (what: string) => {
      const received = peer.payloads.length;
      await until(`${what} is received`, () => peer.payloads.length > received, 60_000);
      return longestTickMs(channel);
    };
    await longestTickMs(channel);

    await expectShortTicks(`${kind}, event`, () => {
      publisher.socket.write(request("publish", "crowd"));
      return receive("the event");
    });
    await expectShortTicks(`${kind}, queue item`, () => {
      publisher.socket.write(request("enqueue", "jobs"));
      peer.reserve();
      return receive("the queue item");
    });
  },
);

const LONG_NAME = "n".repeat(9_900_000);
const longNames = {
  "references to a long name": `a:8:{i:0;${encodeString(LONG_NAME)}${references(7)}}`,
  "references to a long escaped name": `a:8:{i:0;${encodeString(LONG_NAME).replace("s", "S")}${references(7)}}`,
};

test.each(Object.entries(longNames))("%s are passed on in ticks below 50 ms of work", async (kind, names) => {
  // Nothing but the slice of a tick makes the names wait.
  const limits = { CHANNEL_MAX_UNCONFIRMED_BYTES: "1000000000", CHANNEL_MAX_UNSTORED_BYTES: "1000000000" };
  await using channel = await startMonitored(limits);
  using peer = await connectPeer(channel);
  await peer.settle();
  const send = async (type: string) => {
    const request = `a:3:{s:4:"type";${encodeString(type)}s:8:"channels";${names}s:4:"data";i:1;}`;
    peer.socket.write(frame(Buffer.from(request)));
    await peer.settle();
    return longestTickMs(channel);
  };
  await longestTickMs(channel);

  await expectShortTicks(`${kind}, events`, () => send("publish"));
  await expectShortTicks(`${kind}, queue items`, () => send("enqueue"));

  expect(await metric(channel.adminUrl, "fanwire_channel_ignored_total")).toBe(0);
  expect(await metric(channel.adminUrl, "fanwire_channel_requests_total", { type: "enqueue" })).toBeGreaterThan(0);
});

const MANY = 900_000;
const ofValues = (names: string, count: number) =>
  `a:3:{s:4:"type";s:7:"publish";s:8:"channels";${names}s:4:"data";${entries(count, () => "i:0;N;")}}`;
const workerIds = list(8, (at) => encodeString(`aaaaaaa${at}`));
const flat = {
  "unknown keys in a message": entries(MANY, () => "i:-5;i:0;"),
  "lists in a message": entries(900, () => `i:0;${entries(999, () => "i:0;N;")}`),
  "values in an event to everyone": ofValues(
    list(1, () => encodeString("broadcast")),
    MANY,
  ),
  "values in an event to a connection": ofValues(
    list(1, () => encodeString("aaaaaaaa")),
    MANY,
  ),
  // The data of two exceeds what may wait.
  "values in events to eight workers": ofValues(workerIds, 700_000),
};

test.each(Object.entries(flat))("many %s are read in ticks below 50 ms of work", async (kind, message) => {
  await using channel = await startMonitored({ CHANNEL_MAX_UNCONFIRMED_BYTES: "1000000000" });
  using peer = await connectPeer(channel);
  await peer.settle();
  await longestTickMs(channel);

  await expectShortTicks(kind, async () => {
    peer.socket.write(frame(Buffer.from(message)));
    await peer.settle();
    return longestTickMs(channel);
  });

  expect(await metric(channel.adminUrl, "fanwire_channel_ignored_total", { reason: "over-limit" })).toBe(0);
});

/** Returns array entries that refer to the fourth slot of the message, which is the first of its names. */
function references(count: number): string {
  return Array.from({ length: count }, (_, at) => `i:${at + 1};R:4;`).join("");
}

/** Returns a serialized array, whose first value is the sixth slot of the message. */
function list(count: number, valueAt: (at: number) => string): string {
  return entries(count, (at) => `i:${at};${valueAt(at)}`);
}

function entries(count: number, entryAt: (at: number) => string): string {
  return `a:${count}:{${Array.from({ length: count }, (_, at) => entryAt(at)).join("")}}`;
}

function encodeString(text: string): string {
  return `s:${text.length}:"${text}";`;
}
