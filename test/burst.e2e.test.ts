import type { BusPublication } from "@fanwire/bus";
import { parseConnectionAddress, type Target } from "@fanwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBus, subjects, type TestBus } from "./support/bus.ts";
import { connectClient } from "./support/client.ts";
import { metric, startPusher, type TestPusher } from "./support/cluster.ts";
import { readEvents } from "./support/event-stream.ts";
import { connectFanwire, type FanwireClient } from "./support/fanwire-client.ts";
import { residentBytes } from "./support/flat-memory.ts";
import { startNats, type TestNats } from "./support/nats.ts";
import { until } from "./support/wait.ts";

const COUNT = 3_000;

let nats: TestNats;
let bus: TestBus;
let pusher: TestPusher;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus(nats.url);
  pusher = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
});
afterAll(async () => {
  await bus.stop();
  await pusher[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

/** Of everything that comes at once: mostly for everyone, in long runs; between them the exceptions. */
function targetOf(number: number, address: string): { target: Target; headers: [string, string][] } {
  if (number % 500 === 250) return { target: { kind: "topic", topic: "t" }, headers: [] };
  if (number % 500 === 300) return { target: { kind: "everyone" }, headers: [["Except", address]] };
  const connection = number % 500 === 350 ? parseConnectionAddress(address) : undefined;
  if (connection) return { target: { kind: "connection", connection }, headers: [] };
  return { target: { kind: "everyone" }, headers: [] };
}

test("of a burst, each connection of each door hears what is for it, once and in order", async () => {
  const url = `${pusher.url}?topic=t`;
  const all = new Map<string, () => unknown[]>();
  const favoured = await connectClient(url);
  all.set(favoured.address, () => favoured.frames);
  for (let count = 0; count < 4; count++) {
    const raw = await connectClient(url);
    all.set(raw.address, () => raw.frames);
    const fanwire = await connectFanwire(url);
    all.set(fanwire.welcome.connection, () => fanwire.data());
    const stream = await readEvents(`${pusher.url.replace("ws:", "http:")}sse?topic=t`);
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
    await until("the last of it", () => heard().at(-1) === String(COUNT - 1));
    expect(heard(), address).toEqual(expected);
  }
});

/** Far more than the kernel keeps for a socket that nobody reads. */
const [FLOOD, FLOOD_BYTES] = [4_000, 4_000];

test("a burst that nobody reads is kept once for all who follow, and each hears it in order when it reads", async () => {
  await using own = await startPusher({
    nats: nats.url,
    env: { PUSHER_WORKERS: "1", PUSHER_MAX_UNSENT_BYTES: String(64 * 1_048_576) },
  });
  const sleepers = await Promise.all(Array.from({ length: 40 }, () => connectFanwire(own.url, { topic: "flood" })));
  for (const { socket } of sleepers) socket.pause();
  const awake = await connectFanwire(own.url, { topic: "flood" });
  const [pinger, leaver, chosen] = sleepers as [FanwireClient, FanwireClient, FanwireClient];
  const residentBefore = residentBytes(own.process.pid);
  const flood = Array.from({ length: FLOOD }, (_, number) => `${number} `.padEnd(FLOOD_BYTES, "x"));
  const to = (target: Target, content: string) => ({ subject: subjects.live(target), content: Buffer.from(content) });

  for (let at = 0; at < FLOOD; at += 500) {
    await bus.publishAll(flood.slice(at, at + 500).map((content) => to({ kind: "topic", topic: "flood" }, content)));
  }
  await until("who reads has it all", () => awake.publications.length === FLOOD);

  expect(await metric(own.adminUrl, "fanwire_pusher_lagging_connections")).toBe(40);
  const keptBytes = await metric(own.adminUrl, "fanwire_pusher_lagging_bytes");
  expect(keptBytes).toBeGreaterThan(0);
  expect(keptBytes).toBeLessThan(FLOOD * (FLOOD_BYTES + 200));
  // A copy for each would take forty times as much.
  expect(residentBytes(own.process.pid) - residentBefore).toBeLessThan(10 * FLOOD * FLOOD_BYTES);

  // What they are sent otherwise comes behind it, what they do not follow any more does not.
  const pong = pinger.ask({ command: "ping" });
  const left = leaver.ask({ command: "unsubscribe", topic: "flood" });
  const connection = parseConnectionAddress(chosen.welcome.connection);
  if (connection) await bus.publishAll([to({ kind: "connection", connection }, "for you alone")]);
  await until("only they were caught up", async () => {
    return (await metric(own.adminUrl, "fanwire_pusher_lagging_connections")) === 37;
  });
  await bus.publishAll([to({ kind: "topic", topic: "flood" }, "the last")]);
  await until("who reads has it", () => awake.data().at(-1) === "the last");
  const readers = [pinger, leaver, chosen, sleepers.at(-1)] as FanwireClient[];
  for (const { socket } of readers) socket.resume();

  await pong;
  expect(pinger.data().slice(0, FLOOD)).toEqual(flood);
  await left;
  expect(leaver.data()).toEqual(flood);
  await until("the others have it all", () =>
    readers.every((one) => one === leaver || one.data().at(-1) === "the last"),
  );
  expect(pinger.data()).toEqual([...flood, "the last"]);
  expect(chosen.data()).toEqual([...flood, "for you alone", "the last"]);
  expect(sleepers.at(-1)?.data()).toEqual([...flood, "the last"]);
  for (const { socket } of sleepers) socket.terminate();
  await until("nothing is kept", async () => (await metric(own.adminUrl, "fanwire_pusher_lagging_bytes")) === 0);
});
