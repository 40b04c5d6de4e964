import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ChannelPeer, connectPeer, connectPeers, frame } from "../support/channel-peer.ts";
import { metric, startChannel, type TestChannel } from "../support/cluster.ts";
import { residentBytes } from "../support/flat-memory.ts";
import { mainThreadMs } from "../support/main-thread.ts";
import { serialize } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { closedPeers, untilMetric } from "./metrics.ts";

const { nats, channel } = useCluster();
let witness: ChannelPeer;

beforeAll(async () => {
  witness = await connectPeer(channel);
  witness.subscribe("witness");
});
afterAll(() => witness[Symbol.dispose]());

/** Checks that the same process still serves other peers over the same connection. */
async function expectUndisturbed(): Promise<void> {
  witness.payloads.length = 0;
  witness.publish(["witness"], "undisturbed");
  await until("the witness receives its event", () => witness.payloads.length === 1);
  expect(channel.process.exit()).toBeUndefined();
}

const MIB = 1_048_576;
const publication = 's:4:"type";s:7:"publish";s:8:"channels";a:1:{i:0;s:7:"witness";}';

test.each([
  ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n\r\n"), "frame-too-long"],
  ["a name that is an array", frame(serialize({ type: "subscribe", channels: [["x"]] })), "name-not-scalar"],
])("the peer that sends it is closed, and no other: %s", async (_, bytes, reason) => {
  const before = await closedPeers(channel, reason);
  using peer = await connectPeer(channel);

  peer.socket.write(bytes);

  await until("the connection is closed", () => peer.isClosed());
  expect(peer.payloads).toEqual([]);
  expect(await closedPeers(channel, reason)).toBe(before + 1);
  await until("the log has the reason", () =>
    channel.process.logLines().some((line) => line.msg === "peer closed" && line.reason === reason),
  );
  await expectUndisturbed();
});

test.each([
  ["garbage", Buffer.from("garbage")],
  ["an object of a class that is not allowed", Buffer.from(`a:3:{${publication}s:4:"data";O:5:"Point":0:{}}`)],
])("the message is ignored and counted, and the peer stays connected: %s", async (_, payload) => {
  const before = await metric(channel.adminUrl, "fanwire_channel_ignored_total");
  using peer = await connectPeer(channel);

  peer.socket.write(frame(payload));
  await peer.settle();

  expect(await metric(channel.adminUrl, "fanwire_channel_ignored_total")).toBe(before + 1);
  expect(peer.isClosed()).toBe(false);
  await expectUndisturbed();
});

test("a peer that never completes its frame is closed in time", async () => {
  await using strict = await startChannel({ nats: nats.url, env: { CHANNEL_FRAME_SECONDS: "1" } });
  using complete = await connectPeer(strict);
  using endless = await connectPeer(strict);

  endless.socket.write(Buffer.concat([Buffer.from([0, 0xa0, 0, 0]), Buffer.alloc(1_000)]));

  await until("the connection is closed", () => endless.isClosed());
  expect(await closedPeers(strict, "frame-time")).toBe(1);
  expect(complete.isClosed()).toBe(false);
});

test("limits: peers, channels and queues of one peer, frames", async () => {
  await using strict = await startChannel({
    nats: nats.url,
    env: { CHANNEL_MAX_PEERS: "3", CHANNEL_MAX_SUBSCRIPTIONS: "5", CHANNEL_MAX_FRAME_BYTES: "10000" },
  });
  const peers = await connectPeers(strict, 3);
  const [subscriber, watcher, sender] = peers;
  using refused = await connectPeer(strict);
  await until("one too many is refused", () => refused.isClosed());
  expect(await metric(strict.adminUrl, "fanwire_channel_peers_refused_total", { reason: "peer-limit" })).toBe(1);

  subscriber?.subscribe("a", "b", "c", "d", "e");
  subscriber?.subscribe("a", "e");
  subscriber?.publish(["e"], 1);
  await until("at the limit it is served", () => subscriber?.payloads.length === 1);
  subscriber?.subscribe("f");
  for (let count = 0; count < 1_000; count++) watcher?.watch(`queue ${count}`);
  watcher?.watch("queue 0", "queue 999");
  await untilMetric("all are watched", strict, "fanwire_channel_queues", 1_000);
  expect(watcher?.isClosed()).toBe(false);
  watcher?.watch("one too many");
  sender?.publish(["x"], "y".repeat(9_900));
  sender?.publish(["x"], "y".repeat(10_000));
  await until("all connections are closed", () => peers.every((peer) => peer.isClosed()));
  for (const reason of ["subscription-limit", "watch-limit", "frame-too-long"]) {
    expect(await closedPeers(strict, reason), reason).toBe(1);
  }
  expect(await metric(strict.adminUrl, "fanwire_channel_channels")).toBe(0);
});

test("limits: bytes of the names of one peer's channels and queues", async () => {
  await using strict = await startChannel({ nats: nats.url, env: { CHANNEL_MAX_FRAME_BYTES: "2000" } });
  const peers = await connectPeers(strict, 2);
  const [subscriber, watcher] = peers;
  const name = (first: string) => first.padEnd(900, "-");

  for (const peer of peers) {
    peer.subscribe(name("a"));
    peer.subscribe(name("b"));
    peer.unsubscribe(name("a"));
    peer.subscribe(name("c"));
    peer.subscribe(name("b"));
    await peer.settle();
  }
  for (const first of ["a", "b", "a"]) watcher?.watch(name(first));
  await watcher?.settle();
  expect(peers.some((peer) => peer.isClosed())).toBe(false);

  subscriber?.subscribe(name("d"));
  watcher?.watch(name("c"));
  await until("both connections are closed", () => peers.every((peer) => peer.isClosed()));
  for (const reason of ["subscription-limit", "watch-limit"]) expect(await closedPeers(strict, reason), reason).toBe(1);
});

test("a message to very many channels is published at the pace of NATS in bounded memory", async () => {
  await using bounded = await startChannel({ nats: nats.url, env: { CHANNEL_MAX_UNCONFIRMED_BYTES: String(4 * MIB) } });
  using publisher = await connectPeer(bounded);
  using other = await connectPeer(bounded);
  other.subscribe("amplified 1999", "other");
  await other.settle();
  const before = residentBytes(bounded.process.pid);

  publisher.publish(
    Array.from({ length: 2_000 }, (_, at) => `amplified ${at}`),
    "x".repeat(500_000),
  );

  let most = 0;
  await until(
    "the last is delivered",
    async () => {
      most = Math.max(most, await metric(bounded.adminUrl, "fanwire_channel_unconfirmed_bytes"));
      return other.payloads.length === 1;
    },
    60_000,
  );
  expect(most).toBeLessThan(5 * MIB);
  expect(residentBytes(bounded.process.pid) - before).toBeLessThan(200 * MIB);
  expect(await metric(bounded.adminUrl, "fanwire_channel_pauses_total")).toBeGreaterThan(0);
});

test("a peer that reconnects with 100,000 channels does not delay other peers", async () => {
  await using own = await startChannel({ nats: nats.url });
  using busy = await connectPeer(own);
  using other = await connectPeer(own);
  other.subscribe("other");
  await other.settle();
  const before = residentBytes(own.process.pid);
  const names = Array.from({ length: 100_000 }, (_, at) => `channel ${at}`);

  // Measured in processor time of the server, because other processes share the machine.
  const beganMs = mainThreadMs(own.process.pid);
  busy.subscribe(...names);
  let slowestMs = 0;
  await until(
    "all are subscribed",
    async () => {
      const startedMs = mainThreadMs(own.process.pid);
      await other.settle();
      slowestMs = Math.max(slowestMs, mainThreadMs(own.process.pid) - startedMs);
      return (await metric(own.adminUrl, "fanwire_channel_channels")) > 100_000;
    },
    60_000,
  );
  const workedMs = mainThreadMs(own.process.pid) - beganMs;
  busy.publish([names[99_999] ?? "", names[0] ?? ""], 1);
  await until("it receives its first and last event", () => busy.payloads.length === 2);
  const bytesPerChannel = (residentBytes(own.process.pid) - before) / names.length;
  console.log(
    `100,000 channels: ${Math.round(bytesPerChannel)} bytes each, slowest round trip ${Math.round(slowestMs)} of ${Math.round(workedMs)} ms of work`,
  );
  expect(bytesPerChannel).toBeLessThan(8_000);
  expect(slowestMs).toBeLessThan(workedMs / 2);

  busy.socket.destroy();
  await untilMetric("all channels are unsubscribed", own, "fanwire_channel_channels", 1);
});

test("a foreign peer is refused, also when it resets its connection before the server accepts it", async () => {
  const env = { CHANNEL_ALLOWED_NETWORKS: "10.0.0.0/8,::ffff:192.0.2.0/120" };
  await using closedTo = await startChannel({ nats: nats.url, env });
  await using everyone = await startChannel({ nats: nats.url });
  using listener = await connectPeer(everyone);
  listener.subscribe("admission");
  await listener.settle();
  using stranger = await connectPeer(closedTo);
  await until("a peer of another network is refused", () => stranger.isClosed());
  const foreign = frame(serialize({ type: "publish", channels: ["admission"], data: "foreign" }));

  // The kernel completes the handshakes; the server sees the connections when they are reset already.
  closedTo.process.kill("SIGSTOP");
  for (let count = 0; count < 100; count++) await sendAndReset(closedTo.port, foreign);
  closedTo.process.kill("SIGCONT");

  await untilMetric("all are refused", closedTo, "fanwire_channel_peers_refused_total", 101, { reason: "network" });
  expect(await metric(closedTo.adminUrl, "fanwire_channel_peers_accepted_total")).toBe(0);
  await listener.settle();
  expect(listener.payloads).toEqual([]);
});

function sendAndReset(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, () => socket.resetAndDestroy()));
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
}

test("a bind to all interfaces logs a warning unless networks are listed", async () => {
  const env = { CHANNEL_HOST: "0.0.0.0" };
  await using open = await startChannel({ nats: nats.url, env });
  await using listed = await startChannel({ nats: nats.url, env: { ...env, CHANNEL_ALLOWED_NETWORKS: "127.0.0.0/8" } });
  const warnings = ({ process }: TestChannel) =>
    process.logLines().filter(({ level, msg }) => level === "warn" && !String(msg).startsWith("max_payload"));

  await until("the log has a warning", () => warnings(open).length > 0);
  expect(warnings(open)).toMatchObject([{ msg: expect.stringContaining("CHANNEL_ALLOWED_NETWORKS") }]);
  expect(warnings(listed)).toEqual([]);
  using peer = await connectPeer(listed);
  await peer.settle();
});
