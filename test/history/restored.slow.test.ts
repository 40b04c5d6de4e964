import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePosition } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { connectBus } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { openPublications, type TestPublications, topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { askStream } from "../support/jetstream.ts";
import { startLink } from "../support/link.ts";
import { startNats, type TestNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

const HISTORY = "FANWIRE_HISTORY";
const WITNESS = "FANWIRE_HISTORY_LAST";
const ONE_WORKER = { PUSHER_WORKERS: "1" };

/** Starts a NATS server whose streams can be restored. */
async function startRestorable() {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-restored-"));
  const data = join(folder, "data");
  const nats = await startNats(["-js", "-sd", data], { jetStream: false });
  const streamIn = (root: string, name: string) => join(root, "jetstream", "$G", "streams", name);
  return {
    nats,
    /** Copies all data while NATS is stopped. */
    copy: () => whileStopped(nats, () => cp(data, join(folder, "copy"), { recursive: true })),
    restore: (names: readonly string[]) =>
      whileStopped(nats, async () => {
        for (const name of names) {
          await rm(streamIn(data, name), { recursive: true });
          await cp(streamIn(join(folder, "copy"), name), streamIn(data, name), { recursive: true });
        }
      }),
    async [Symbol.asyncDispose]() {
      await nats[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function whileStopped(nats: TestNats, work: () => Promise<void>): Promise<void> {
  await nats.stop("SIGTERM");
  await work();
  await nats.restart();
}

async function appendAll(publications: TestPublications, from: number, to: number): Promise<string> {
  await until("NATS is back", () => publications.bus.health().alive);
  let position = "";
  for (let at = from; at <= to; at++) position = await publications.append(topic("t"), String(at));
  return position;
}

async function isWitnessed({ bus }: TestPublications, messages: number): Promise<boolean> {
  const { state } = await askStream(bus, `INFO.${WITNESS}`);
  return state?.last_seq === messages;
}

const epochOf = (position: string) => parsePosition(position)?.epoch;

test("a history that is restored while publishers run has another epoch from the first publication on", async () => {
  await using restorable = await startRestorable();
  await using publications = await openPublications([restorable.nats.url]);
  await appendAll(publications, 1, 5);
  await restorable.copy();
  const before = await appendAll(publications, 6, 10);

  await restorable.restore([HISTORY]);
  const after = await appendAll(publications, 11, 12);

  expect(parsePosition(after)?.sequence).toBe(7);
  expect(epochOf(after)).not.toBe(epochOf(before));
  const again = await appendAll(publications, 13, 13);
  expect(epochOf(again)).toBe(epochOf(after));
});

test("a history that is restored while no service runs has another epoch", async () => {
  await using restorable = await startRestorable();
  let before = "";
  {
    await using publications = await openPublications([restorable.nats.url]);
    await appendAll(publications, 1, 5);
    await publications.history.state(); // creates the second stream, which stores the last publication of each subject
    await until("the first publications are witnessed", () => isWitnessed(publications, 5));
    await restorable.copy();
    before = await appendAll(publications, 6, 10);
    await until("all publications are witnessed", () => isWitnessed(publications, 10));
  }

  await restorable.restore([HISTORY]);
  await using publications = await openPublications([restorable.nats.url]);
  const after = await appendAll(publications, 11, 12);

  expect(epochOf(after)).not.toBe(epochOf(before));
  await until("the second stream records the new epoch", () => isWitnessed(publications, 7));
  // After a second restore the mark of the stream is one that was used before.
  await restorable.restore([HISTORY]);
  await using later = await openPublications([restorable.nats.url]);
  const last = await appendAll(later, 13, 14);
  expect([epochOf(before), epochOf(after)]).not.toContain(epochOf(last));
});

test("a resume from a position that a restored history lost is not recovered, and connected clients are closed", async () => {
  await using restorable = await startRestorable();
  await using publications = await openPublications([restorable.nats.url]);
  await using pusher = await startPusher({ nats: restorable.nats.url, env: ONE_WORKER });
  await appendAll(publications, 1, 5);
  await restorable.copy();
  const connected = await connectFanwire(pusher.url, { topic: "t" });
  const position = await appendAll(publications, 6, 8);
  await until("the client has everything", () => connected.data().includes("8"));

  await restorable.restore([HISTORY]);
  await appendAll(publications, 9, 13);
  await until("the client is asked to reconnect", () => connected.close?.code === 4500);
  const resumed = await connectFanwire(pusher.url, { topic: "t", since: position });

  expect(resumed.welcome).toMatchObject({ recovered: false, reason: "recreated" });
  const end = await publications.append(topic("t"), "end");
  await until("the client receives new publications", () => resumed.data().includes("end"));
  const next = await connectFanwire(pusher.url, { topic: "t", since: end });
  expect(next.welcome).toMatchObject({ recovered: true });
  for (const { socket } of [connected, resumed, next]) socket.terminate();
});

test("a restore is noticed although more than was lost is published before any service looks, also with the second stream restored", async () => {
  await using restorable = await startRestorable();
  await using publications = await openPublications([restorable.nats.url]);
  await using link = await startLink(restorable.nats.port);
  await using pusher = await startPusher({ nats: link.url, env: ONE_WORKER });
  const connected = await connectFanwire(pusher.url, { topic: "t" });
  await appendAll(publications, 1, 5);
  await until("the first publications are witnessed", () => isWitnessed(publications, 5));
  await restorable.copy();
  const position = await appendAll(publications, 6, 8);
  await until("the client has everything", () => connected.data().includes("8"));
  await publications.bus.stop();
  link.cut();

  await restorable.restore([HISTORY, WITNESS]);
  await using bus = await connectBus(restorable.nats.url);
  // As a program that publishes without a publisher: these reuse the sequences 6 to 8, and more.
  for (let at = 1; at <= 20; at++) await bus.publish("fanwire.history.topic.t", Buffer.from(`other ${at}`));
  link.heal();

  await until("the client is asked to reconnect", () => connected.close?.code === 4500);
  const resumed = await connectFanwire(pusher.url, { topic: "t", since: position });
  expect(resumed.welcome).toMatchObject({ recovered: false, reason: "recreated" });
  expect(connected.data().filter((data) => String(data).startsWith("other"))).toEqual([]);
  for (const { socket } of [connected, resumed]) socket.terminate();
});
