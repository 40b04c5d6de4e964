import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withTimeout } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { everyone } from "../support/durable.ts";
import { openHistory, startHistory } from "../support/history.ts";
import { append, appended, numbers, pageOf, replay } from "../support/history-calls.ts";
import { askStream, editStream } from "../support/jetstream.ts";
import { startNats } from "../support/nats.ts";
import { until } from "../support/wait.ts";

test("the next append or read creates a deleted stream again, with another epoch for all", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  await using reader = await openHistory({ servers: [nats.url] });
  await using deleter = await openHistory({ servers: [nats.url] });
  const before = await appended(opened, everyone, "1");
  await reader.history.state();
  expect(reader.history.epoch).toBe(before.epoch);

  await askStream(deleter.bus, "DELETE.FANWIRE_HISTORY");
  const recreated = await appended(deleter, everyone, "2");

  expect(recreated.sequence).toBe(1);
  expect(recreated.epoch).not.toBe(before.epoch);
  expect(await replay(reader, everyone, before)).toMatchObject({ isComplete: false });
  expect(reader.history.epoch).toBe(recreated.epoch);
  const noticed = async () => (await appended(opened, everyone, "3")).epoch === recreated.epoch;
  await until("the writer detects the new epoch", noticed, 2_000);

  const filter = reader.subjects.history(everyone);
  for (const epochAfter of [
    async () => (await appended(opened, everyone, "4")).epoch,
    async () => pageOf(await reader.history.read({ filter, after: 0 })).history.epoch,
  ]) {
    await askStream(deleter.bus, "DELETE.FANWIRE_HISTORY");
    expect(await epochAfter()).not.toBe(recreated.epoch);
  }
});

test("processes that create the stream at the same time share one, and log a warning about other limits", async () => {
  await using nats = await startNats();
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const logger = createLog("test", "info");
  const options = { servers: [nats.url], logger };
  const opened = await Promise.all(
    [1, 2, 3, 4, 5].map((n) => openHistory({ ...options, config: { maxPerSubject: n <= 4 ? 7 : 8 } })),
  );

  const positions = await Promise.all(opened.map((one) => appended(one, everyone, "x")));
  const states = await Promise.all(opened.map(({ history }) => history.state()));
  write.mockRestore();

  expect(positions.map(({ sequence }) => sequence).sort()).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
  expect(new Set(states.map((state) => state.ok && state.history.maxPerSubject)).size).toBe(1);
  const warnings = lines.filter((line) => line.includes("other limits"));
  expect(warnings.length).toBeGreaterThan(0);
  for (const line of warnings) expect(line).toContain('"max_msgs_per_subject":{"is":');
  await Promise.all(opened.map(({ bus }) => bus.stop()));
});

test("a stream of that name with other subjects is not used", async () => {
  await using nats = await startNats();
  await using theirs = await openHistory({ servers: [nats.url], prefix: "a.b" });
  await using ours = await openHistory({ servers: [nats.url], prefix: "a_b" });
  await appended(theirs, everyone, "x");

  const outcome = await append(ours, everyone, "y");

  expect(outcome).toMatchObject({
    ok: false,
    reason: "unusable",
    detail: /A_B_HISTORY does not store exactly a_b\.history\.>/,
  });
});

test("the history is unavailable without JetStream, and available when JetStream is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(conf, "");
  await using nats = await startNats(["-c", conf], { jetStream: false });
  await using opened = await openHistory({ servers: [nats.url] });
  const none = { ok: false, reason: "no-jetstream", detail: "the NATS server runs without JetStream" };

  expect(await append(opened, everyone, "x")).toEqual(none);
  expect(await opened.history.state()).toEqual(none);
  expect(await opened.history.read({ filter: opened.subjects.history(everyone), after: 0 })).toEqual(none);
  expect(await opened.history.find(1)).toEqual(none);
  expect(await opened.history.describe()).toMatchObject(none);

  await nats.stop();
  await writeFile(conf, `jetstream { store_dir: ${JSON.stringify(join(folder, "js"))} }`);
  await nats.restart();
  await until("the bus is connected again", () => opened.bus.health().alive);
  // A description does not create the stream.
  for (let time = 0; time < 2; time++) {
    expect(await opened.history.describe()).toMatchObject({
      reason: "unusable",
      detail: "the history stream does not exist",
    });
  }
  expect(await appended(opened, everyone, "y")).toMatchObject({ sequence: 1 });
  expect(await opened.history.describe()).toMatchObject({ ok: true, stream: { messages: 1 } });
  await rm(folder, { recursive: true });
});

test("a consumer ends when the history gets an epoch mark, also one that a person sets", async () => {
  await using nats = await startNats();
  await using opened = await openHistory({ servers: [nats.url] });
  await using person = await openHistory({ servers: [nats.url] });
  const { epoch } = await appended(opened, everyone, "1");
  const consume = async () => {
    const consumed = await opened.history.consume(1, { onEntry() {}, hasRoom: () => true, isPatient: () => false });
    if (!consumed.ok) throw new Error(consumed.detail);
    consumed.consumer.resume();
    return consumed.consumer;
  };

  const consumer = await consume();
  await editStream(person.bus, "FANWIRE_HISTORY", { description: "(epoch mark 00000001)" });

  expect(await withTimeout(2_000, consumer.ended)).toBe("the epoch changed");
  expect(opened.history.epoch).toBe(`${epoch}00000001`);
  const next = await consume();
  expect(await opened.history.state()).toMatchObject({ ok: true });
  expect(await withTimeout(500, next.ended)).toBeUndefined();
  next.stop();
});

/** The permissions in deploy/nats-users.conf. */
const documentedPermissions = [
  ...["fanwire.live.>", "fanwire.history.>", "fanwire.control.>", "_INBOX.>"],
  ...["INFO", "CREATE", "MSG.GET"].map((request) => `$JS.API.STREAM.${request}.FANWIRE_HISTORY`),
  ...["CREATE.FANWIRE_HISTORY.>", "MSG.NEXT.FANWIRE_HISTORY.>", "DELETE.FANWIRE_HISTORY.*"].map(
    (rest) => `$JS.API.CONSUMER.${rest}`,
  ),
];

test("an account without JetStream and a user without permission fail for different reasons", async () => {
  const config = `accounts {
    A: { users: [{ user: without, password: p }] }
    B: { jetstream: enabled, users: [
         { user: with, password: p, permissions: {
           publish: ${JSON.stringify(documentedPermissions)}, subscribe: "_INBOX.>" } },
         { user: limited, password: p, permissions: { publish: ["fanwire.>", "_INBOX.>"], subscribe: ">" } }] }
  }`;
  await using nats = await startNats([], { config });
  await using without = await openHistory({ servers: [nats.url], user: "without" });
  await using limited = await openHistory({ servers: [nats.url], user: "limited" });
  await using allowed = await openHistory({ servers: [nats.url], user: "with" });

  expect(await append(without, everyone, "x")).toMatchObject({ ok: false, reason: "no-jetstream", detail: /account/ });
  expect(await append(limited, everyone, "x")).toMatchObject({ ok: false, reason: "forbidden" });
  expect(await limited.history.state()).toMatchObject({ ok: false, reason: "forbidden" });
  for (const n of numbers(50)) expect(await appended(allowed, everyone, n)).toMatchObject({ sequence: Number(n) + 1 });
  const { publications, isComplete } = await replay(allowed, everyone, {
    epoch: allowed.history.epoch ?? "",
    sequence: 0,
  });
  expect([publications.length, isComplete]).toEqual([50, true]);
});

test("a limit that JetStream refuses fails with its reason", async () => {
  await using opened = await startHistory({ replicas: 3 });

  expect(await append(opened, everyone, "x")).toMatchObject({ ok: false, reason: "unusable", detail: /replicas/ });
});

test("the history uses the answers of the leader only, whichever node answers first", async () => {
  await using nats = await startNats([], { jetStream: false });
  await using opened = await openHistory({ servers: [nats.url] });
  await using nodes = await openHistory({ servers: [nats.url] });
  const { allHistory, allLive } = opened.subjects;
  const republish = { src: allHistory, dest: allLive };
  const config = { name: "FANWIRE_HISTORY", subjects: [allHistory], republish, retention: "limits" };
  const type = "io.nats.jetstream.api.v1.stream_info_response";
  const describe = (last_seq: number, cluster: object) =>
    JSON.stringify({ type, config, created: "2026-01-01T00:00:00Z", state: { first_seq: 1, last_seq }, cluster });
  const leaderless = describe(11, { replicas: [{ name: "n1" }, { name: "n3" }] });
  const outdated = describe(12, { leader: "n1", replicas: [{ name: "n1" }, { name: "n3" }] });
  const leading = describe(20, { leader: "n1", replicas: [{ name: "n2" }, { name: "n3" }] });
  const unavailable = JSON.stringify({ error: { code: 503, err_code: 10008, description: "temporarily unavailable" } });
  const found = JSON.stringify({ message: { subject: "fanwire.history.all", seq: 19, time: "2026-01-01T00:00:00Z" } });
  const answers = { INFO: [leaderless, outdated], "MSG.GET": [unavailable, found] };
  for (const [request, texts] of Object.entries(answers)) {
    const callback = (_: unknown, message: { respond(data: string): boolean }) => {
      for (const each of texts) message.respond(each);
    };
    nodes.bus.connection.subscribe(`$JS.API.STREAM.${request}.FANWIRE_HISTORY`, { callback });
  }
  await nodes.bus.confirm();

  expect(await opened.history.state()).toMatchObject({ ok: false, reason: "unusable" });
  answers.INFO.push(leading);
  expect(await opened.history.state()).toMatchObject({ ok: true, history: { lastSequence: 20 } });
  expect(await opened.history.find(19)).toMatchObject({ ok: true, publication: { sequence: 19 } });
});

// nats-server 2.9 crashes when it is asked for a message of a stream that it still creates.
test("processes that create the streams at the same time ask no empty stream for a message", async () => {
  await using nats = await startNats();
  await using observer = await openHistory({ servers: [nats.url] });
  const asked: string[] = [];
  observer.bus.subscribe("$JS.API.STREAM.MSG.GET.>", ({ subject }) => asked.push(subject));
  await observer.bus.confirm();
  const opened = await Promise.all(Array.from({ length: 4 }, () => openHistory({ servers: [nats.url] })));

  const filter = observer.subjects.history(everyone);
  const pages = await Promise.all(opened.map(async ({ history }) => pageOf(await history.read({ filter, after: 0 }))));
  const newest = await Promise.all(opened.map(({ history }) => history.last(filter)));
  expect(pages.map(({ publications, isEnd }) => [publications, isEnd])).toEqual(pages.map(() => [[], true]));
  expect(newest).toEqual(newest.map(() => ({ ok: true, publication: undefined })));
  expect(asked).toEqual([]);

  await appended(observer, everyone, "stored");
  const [first] = opened;
  expect(await first?.history.last(filter)).toMatchObject({ ok: true, publication: { sequence: 1 } });
  await until("the observer sees the question", () => asked.length > 0);
  for (const each of opened) await each[Symbol.asyncDispose]();
});
