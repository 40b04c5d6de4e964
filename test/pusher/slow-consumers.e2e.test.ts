import type { BusPublication } from "@fanwire/bus";
import { parseConnectionAddress, type Target } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { subjects } from "../support/bus.ts";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { residentBytes } from "../support/flat-memory.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const COUNT = 3_000;

const { nats, bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });

/** Most publications are for everyone, in long runs, with exceptions between them. */
function targetOf(number: number, address: string): { target: Target; headers: [string, string][] } {
  if (number % 500 === 250) return { target: { kind: "topic", topic: "t" }, headers: [] };
  if (number % 500 === 300) return { target: { kind: "everyone" }, headers: [["Except", address]] };
  const connection = number % 500 === 350 ? parseConnectionAddress(address) : undefined;
  if (connection) return { target: { kind: "connection", connection }, headers: [] };
  return { target: { kind: "everyone" }, headers: [] };
}

test("a burst is delivered to each connection of each protocol once and in order", async () => {
  const url = `${pusher.url}?topic=t`;
  const all = new Map<string, () => unknown[]>();
  const target = await connectRawClient(url);
  all.set(target.address, () => target.frames);
  for (let count = 0; count < 4; count++) {
    const raw = await connectRawClient(url);
    all.set(raw.address, () => raw.frames);
    const fanwire = await connectFanwire(url);
    all.set(fanwire.welcome.connection, () => fanwire.data());
    const stream = await readEvents(`${pusher.sseUrl}?topic=t`);
    all.set(stream.address(), () => stream.data());
  }
  const publications = Array.from({ length: COUNT }, (_, number): BusPublication => {
    const { target: to, headers } = targetOf(number, target.address);
    return { subject: subjects.live(to), content: Buffer.from(String(number)), headers };
  });

  const outcomes = await bus.publishAll(publications);

  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  for (const [address, received] of all) {
    const omitted = address === target.address ? 300 : 350;
    const numbers = publications.map((_, number) => number).filter((number) => number % 500 !== omitted);
    await until("the last publication arrives", () => received().at(-1) === String(COUNT - 1));
    expect(received(), address).toEqual(numbers.map(String));
  }
});

/** Far more than the kernel buffers for a socket that is not read. */
const [FLOOD, FLOOD_BYTES] = [4_000, 4_000];
const flood = Array.from({ length: FLOOD }, (_, number) => `${number} `.padEnd(FLOOD_BYTES, "x"));
const SLOW = 40;
/** One copy for each slow consumer would take forty times the flood. */
const MAX_GROWN_BYTES = 10 * FLOOD * FLOOD_BYTES;

const to = (target: Target, content: string) => ({ subject: subjects.live(target), content: Buffer.from(content) });
const toTopic = (content: string) => to({ kind: "topic", topic: "flood" }, content);

type Reader = { readonly socket: WebSocket; readonly address: string; received(): unknown[] };

const connectBy = {
  raw: async (url: string): Promise<Reader> => {
    const { socket, address, frames } = await connectRawClient(url);
    return { socket, address, received: () => frames };
  },
  "fanwire.v1": async (url: string): Promise<Reader> => {
    const client = await connectFanwire(url);
    return { socket: client.socket, address: client.welcome.connection, received: () => client.data() };
  },
};

function startPatientPusher(): Promise<TestPusher> {
  return startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1", PUSHER_MAX_UNSENT_BYTES: String(64 * 1_048_576) } });
}

/** Publishes the flood, which connections that are not read make slow consumers of. */
async function publishFlood(): Promise<void> {
  for (let at = 0; at < FLOOD; at += 500) await bus.publishAll(flood.slice(at, at + 500).map(toTopic));
}

const slowConsumers = ({ adminUrl }: TestPusher) => metric(adminUrl, "fanwire_pusher_slow_consumers");
const bufferedBytes = ({ adminUrl }: TestPusher) => metric(adminUrl, "fanwire_pusher_slow_consumer_bytes");

test.each(["raw", "fanwire.v1"] as const)(
  "a burst is buffered once for all slow consumers, which receive it in order: %s",
  async (protocol) => {
    await using own = await startPatientPusher();
    const connect = () => connectBy[protocol](`${own.url}?topic=flood`);
    const slow = await Promise.all(Array.from({ length: SLOW }, connect));
    for (const { socket } of slow) socket.pause();
    const reading = await connect();
    const residentBefore = residentBytes(own.process.pid);

    await publishFlood();
    await until("the reading client has everything", () => reading.received().length === FLOOD);

    expect(await slowConsumers(own)).toBe(SLOW);
    expect(await bufferedBytes(own)).toBeGreaterThan(0);
    expect(await bufferedBytes(own)).toBeLessThan(FLOOD * (FLOOD_BYTES + 200));
    expect(residentBytes(own.process.pid) - residentBefore).toBeLessThan(MAX_GROWN_BYTES);
    const [target, other] = slow as [Reader, Reader];
    const connection = parseConnectionAddress(target.address);
    if (connection) await bus.publishAll([to({ kind: "connection", connection }, "for you alone")]);
    await until("the target has all it was behind with", async () => (await slowConsumers(own)) === SLOW - 1);
    await bus.publishAll([toTopic("the last")]);
    for (const { socket } of [target, other]) socket.resume();
    await until("both have the last", () => [target, other].every(({ received }) => received().at(-1) === "the last"));
    expect(target.received()).toEqual([...flood, "for you alone", "the last"]);
    expect(other.received()).toEqual([...flood, "the last"]);
    for (const { socket } of slow) socket.terminate();
    await until("nothing is buffered", async () => (await bufferedBytes(own)) === 0);
  },
);

test("a slow consumer receives the reply to a command after the burst, and nothing after it unsubscribed", async () => {
  await using own = await startPatientPusher();
  const [pinging, leaving, reading] = (await Promise.all(
    [1, 2, 3].map(() => connectFanwire(`${own.url}?topic=flood`)),
  )) as [FanwireClient, FanwireClient, FanwireClient];
  for (const { socket } of [pinging, leaving]) socket.pause();
  let largestFrame = 0;
  reading.socket.on("message", (frame: Buffer) => {
    largestFrame = Math.max(largestFrame, frame.length);
  });
  await publishFlood();
  await until("the reading client has everything", () => reading.publications.length === FLOOD);

  // Messages share frames up to a size that uWebSockets.js may keep for each connection.
  expect(largestFrame).toBeGreaterThan(16_384);
  expect(largestFrame).toBeLessThanOrEqual(32_768);
  const pong = pinging.ask({ command: "ping" });
  const left = leaving.ask({ command: "unsubscribe", topic: "flood" });
  await until("no client is a slow consumer", async () => (await slowConsumers(own)) === 0);
  await bus.publishAll([toTopic("the last")]);
  await until("the reading client has the last", () => reading.data().at(-1) === "the last");
  for (const { socket } of [pinging, leaving]) socket.resume();

  await pong;
  expect(pinging.data().slice(0, FLOOD)).toEqual(flood);
  await left;
  expect(leaving.data()).toEqual(flood);
  await until("the last publication arrives", () => pinging.data().at(-1) === "the last");
  expect(pinging.data()).toEqual([...flood, "the last"]);
});
