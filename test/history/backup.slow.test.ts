import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePosition } from "@fanwire/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { openPublications, type TestPublications, topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { askStream } from "../support/jetstream.ts";
import { startProcess } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fanwire-backup-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the script. Returns its output, or its error. */
async function backup(...args: string[]): Promise<{ code: number | null | undefined; output: string }> {
  const script = ["--conditions=@fanwire/source", "--import", "tsx", "scripts/backup/backup.ts"];
  const run = startProcess(process.execPath, [...script, ...args], { FANWIRE_NATS_URL: nats.url });
  await until("the script ends", () => run.end());
  return { code: run.exit()?.code, output: run.output() };
}

async function appendAll(publications: TestPublications, from: number, to: number): Promise<string> {
  let position = "";
  for (let at = from; at <= to; at++) position = await publications.append(topic("t"), String(at));
  return position;
}

/** Stores an item of a queue in the stream of the channel servers. */
async function createQueue(): Promise<void> {
  const config = { name: "FANWIRE_CHANNEL_QUEUES", subjects: ["fanwire.channel.queue.>"], retention: "workqueue" };
  await askStream(bus, "CREATE.FANWIRE_CHANNEL_QUEUES", config);
  await bus.publish("fanwire.channel.queue.jobs", Buffer.from("job"));
}

async function messagesIn(stream: string): Promise<number | undefined> {
  return (await askStream(bus, `INFO.${stream}`)).state?.messages;
}

test("positions beyond a backup are not recovered after its restore, although their sequences are used again", async () => {
  await createQueue();
  let early = "";
  let late = "";
  {
    await using publications = await openPublications([nats.url]);
    early = await appendAll(publications, 1, 5);
    expect(await backup("save", folder)).toMatchObject({ code: 0 });
    late = await appendAll(publications, 6, 8);
    await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
    const client = await connectFanwire(pusher.url, { topic: "t", since: early });
    await until("the client has everything", () => client.data().includes("8"));
    expect((await backup("restore", folder, "--replace")).output).toMatch(/a service is running; stop all services/);
    await pusher.process.stop();
  }

  expect((await backup("restore", folder)).output).toMatch(/FANWIRE_HISTORY exists; --replace deletes it/);
  const restored = await backup("restore", folder, "--replace");
  expect(restored.output).toMatch(
    /restored FANWIRE_HISTORY: 5 messages.*\nrestored FANWIRE_CHANNEL_QUEUES: 1 messages/,
  );
  expect(restored.code).toBe(0);
  expect([await messagesIn("FANWIRE_HISTORY"), await messagesIn("FANWIRE_CHANNEL_QUEUES")]).toEqual([5, 1]);
  // Programs publish past the publishers before any service looks.
  for (let at = 1; at <= 20; at++) await bus.publish("fanwire.history.topic.t", Buffer.from(`other ${at}`));

  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
  for (const since of [late, early]) {
    const resumed = await connectFanwire(pusher.url, { topic: "t", since });
    expect(resumed.welcome).toMatchObject({ recovered: false, reason: "recreated" });
    resumed.socket.terminate();
  }
  await using publications = await openPublications([nats.url]);
  const position = await publications.append(topic("t"), "new");
  expect(parsePosition(position)?.sequence).toBe(26);
  const client = await connectFanwire(pusher.url, { topic: "t", since: position });
  expect(client.welcome).toMatchObject({ recovered: true });
  client.socket.terminate();
  await pusher.process.stop();

  // The mark in use is later than that of the backup.
  expect(await backup("restore", folder, "--replace")).toMatchObject({ code: 0 });
  await appendAll(publications, 6, 40);
  await using again = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
  const resumed = await connectFanwire(again.url, { topic: "t", since: position });
  expect(resumed.welcome).toMatchObject({ recovered: false, reason: "recreated" });
});

test("a history of many megabytes is the same after its restore", async () => {
  await using publications = await openPublications([nats.url]);
  const contents = Array.from({ length: 100 }, () => randomBytes(150_000).toString("base64"));
  let last = "";
  for (const content of contents) last = await publications.append(topic("large"), content);
  expect(await backup("save", folder)).toMatchObject({ code: 0 });
  const before = await messagesIn("FANWIRE_HISTORY");

  expect(await backup("restore", folder, "--replace")).toMatchObject({ code: 0 });

  expect(await messagesIn("FANWIRE_HISTORY")).toBe(before);
  const found = await publications.history.find(Number(last.split("-")[1]));
  expect(found.ok && Buffer.from(found.publication?.content ?? "").toString()).toBe(contents.at(-1));
});

test("a damaged backup replaces nothing", async () => {
  await using publications = await openPublications([nats.url]);
  await appendAll(publications, 1, 100);
  expect(await backup("save", folder)).toMatchObject({ code: 0 });
  const before = await messagesIn("FANWIRE_HISTORY");
  const archive = join(folder, "FANWIRE_HISTORY", "stream.tar.s2");

  for (const damage of [() => truncateSync(archive, statSync(archive).size - 100), () => rmSync(archive)]) {
    damage();
    const restored = await backup("restore", folder, "--replace");
    expect(restored).toMatchObject({ code: 1, output: expect.stringMatching(/is damaged: .*\. Nothing was changed/) });
    expect(await messagesIn("FANWIRE_HISTORY")).toBe(before);
  }
});

test("a wrong command shows how to use the script", async () => {
  expect(await backup("restore")).toMatchObject({
    code: 1,
    output: expect.stringMatching(/npm run backup -- save FOLDER/),
  });
  expect(await backup("restore", folder)).toMatchObject({
    code: 1,
    output: expect.stringMatching(/holds no backup of/),
  });
});
