import type { BusPublication } from "@fanwire/bus";
import { parseConnectionAddress, type Target } from "@fanwire/protocol";
import { expect, test } from "vitest";
import type { WebSocket } from "ws";
import { subjects } from "../support/bus.ts";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { residentBytes } from "../support/flat-memory.ts";
import { type Client, connectClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const COUNT = 3_000;

const { nats, bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });

/** Of everything that comes at once: mostly for everyone, in long runs; between them the exceptions. */
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
  const favoured = await connectClient(url);
  all.set(favoured.address, () => favoured.frames);
  for (let count = 0; count < 4; count++) {
    const raw = await connectClient(url);
    all.set(raw.address, () => raw.frames);
    const fanwire = await connectFanwire(url);
    all.set(fanwire.welcome.connection, () => fanwire.data());
    const stream = await readEvents(`${pusher.sseUrl}?topic=t`);
    const { connection } = JSON.parse(stream.events()[0]?.data ?? "");
    all.set(connection, () =>
      stream
        .events()
        .slice(1)
        .map(({ data }) => data),
    );
  }
  const publications = Array.from({ length: COUNT }, (_, number): BusPublication => {
    const { target, headers } = targetOf(number, favoured.address);
    return { subject: subjects.live(target), content: Buffer.from(String(number)), headers };
  });

  const outcomes = await bus.publishAll(publications);

  expect(outcomes.every(({ ok }) => ok)).toBe(true);
  for (const [address, heard] of all) {
    const isFavoured = address === favoured.address;
    const expected = publications.flatMap((_, number) => {
      if (number % 500 === (isFavoured ? 300 : 350)) return [];
      return [String(number)];
    });
    await until("the last publication arrives", () => heard().at(-1) === String(COUNT - 1));
    expect(heard(), address).toEqual(expected);
  }
});

/** Far more than the kernel keeps for a socket that nobody reads. */
const [FLOOD, FLOOD_BYTES] = [4_000, 4_000];
const flood = Array.from({ length: FLOOD }, (_, number) => `${number} `.padEnd(FLOOD_BYTES, "x"));
const SLEEPERS = 40;
/** A copy for each would take forty times the flood. */
const MOST_GROWN_BYTES = 10 * FLOOD * FLOOD_BYTES;

const to = (target: Target, content: string) => ({ subject: subjects.live(target), content: Buffer.from(content) });
const toFollowers = (content: string) => to({ kind: "topic", topic: "flood" }, content);

function startPatientPusher(): Promise<TestPusher> {
  return startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1", PUSHER_MAX_UNSENT_BYTES: String(64 * 1_048_576) } });
}

/** Connects many that read nothing any more. */
async function sleepersOf<Client extends { readonly socket: WebSocket }>(connect: () => Promise<Client>) {
  const sleepers = await Promise.all(Array.from({ length: SLEEPERS }, connect));
  for (const { socket } of sleepers) socket.pause();
  return sleepers;
}

async function publishFlood(): Promise<void> {
  for (let at = 0; at < FLOOD; at += 500) await bus.publishAll(flood.slice(at, at + 500).map(toFollowers));
}

const lagging = (own: TestPusher) => metric(own.adminUrl, "fanwire_pusher_slow_consumers");
const laggingBytes = (own: TestPusher) => metric(own.adminUrl, "fanwire_pusher_slow_consumer_bytes");

test("a burst that nobody reads is kept once for all who follow, and each hears it in order when it reads", async () => {
  await using own = await startPatientPusher();
  const url = `${own.url}?topic=flood`;
  const sleepers = await sleepersOf(() => connectFanwire(url));
  const awake = await connectFanwire(url);
  let largestFrame = 0;
  awake.socket.on("message", (frame: Buffer) => {
    largestFrame = Math.max(largestFrame, frame.length);
  });
  const residentBefore = residentBytes(own.process.pid);

  await publishFlood();
  await until("the reading client has everything", () => awake.publications.length === FLOOD);

  expect(await lagging(own)).toBe(SLEEPERS);
  expect(await laggingBytes(own)).toBeGreaterThan(0);
  expect(await laggingBytes(own)).toBeLessThan(FLOOD * (FLOOD_BYTES + 200));
  expect(residentBytes(own.process.pid) - residentBefore).toBeLessThan(MOST_GROWN_BYTES);

  // Joined, but so that uWebSockets.js keeps no more than this for each that does not take it.
  expect(largestFrame).toBeGreaterThan(16_384);
  expect(largestFrame).toBeLessThanOrEqual(32_768);

  // What they are sent otherwise comes behind it, what they do not follow any more does not.
  const [pinger, leaver, chosen, other] = sleepers as [FanwireClient, FanwireClient, FanwireClient, FanwireClient];
  const pong = pinger.ask({ command: "ping" });
  const left = leaver.ask({ command: "unsubscribe", topic: "flood" });
  const connection = parseConnectionAddress(chosen.welcome.connection);
  if (connection) await bus.publishAll([to({ kind: "connection", connection }, "for you alone")]);
  await until("only these three are no slow consumers any longer", async () => (await lagging(own)) === SLEEPERS - 3);
  await bus.publishAll([toFollowers("the last")]);
  await until("the reading client has the last publication", () => awake.data().at(-1) === "the last");
  const stayed = [pinger, chosen, other];
  for (const { socket } of [leaver, ...stayed]) socket.resume();

  await pong;
  expect(pinger.data().slice(0, FLOOD)).toEqual(flood);
  await left;
  expect(leaver.data()).toEqual(flood);
  await until("the slow consumers have everything", () => stayed.every((one) => one.data().at(-1) === "the last"));
  expect(pinger.data()).toEqual([...flood, "the last"]);
  expect(chosen.data()).toEqual([...flood, "for you alone", "the last"]);
  expect(other.data()).toEqual([...flood, "the last"]);
  for (const { socket } of sleepers) socket.terminate();
  await until("nothing is buffered", async () => (await laggingBytes(own)) === 0);
});

test("so it is on the raw protocol", async () => {
  await using own = await startPatientPusher();
  const url = `${own.url}?topic=flood`;
  const sleepers = await sleepersOf(() => connectClient(url));
  const awake = await connectClient(url);
  const residentBefore = residentBytes(own.process.pid);

  await publishFlood();
  await until("the reading client has everything", () => awake.frames.length === FLOOD);

  expect(await lagging(own)).toBe(SLEEPERS);
  expect(await laggingBytes(own)).toBeGreaterThan(0);
  expect(residentBytes(own.process.pid) - residentBefore).toBeLessThan(MOST_GROWN_BYTES);
  const [chosen, other] = sleepers as [Client, Client];
  const connection = parseConnectionAddress(chosen.address);
  if (connection) await bus.publishAll([to({ kind: "connection", connection }, "for you alone")]);
  await until("only this one is no slow consumer any longer", async () => (await lagging(own)) === SLEEPERS - 1);
  for (const { socket } of [chosen, other]) socket.resume();
  await until(
    "the slow consumers have everything",
    () => chosen.frames.length === FLOOD + 1 && other.frames.length === FLOOD,
  );
  expect(chosen.frames).toEqual([...flood, "for you alone"]);
  expect(other.frames).toEqual(flood);
  for (const { socket } of sleepers) socket.terminate();
  await until("nothing is buffered", async () => (await laggingBytes(own)) === 0);
});
