import type { BusPublication } from "@fanwire/bus";
import { parseConnectionAddress, type Target } from "@fanwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBus, subjects, type TestBus } from "./support/bus.ts";
import { connectClient } from "./support/client.ts";
import { startPusher, type TestPusher } from "./support/cluster.ts";
import { readEvents } from "./support/event-stream.ts";
import { connectFanwire } from "./support/fanwire-client.ts";
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
