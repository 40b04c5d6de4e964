import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { AppendOutcome, LoggedPublication, ReadOutcome } from "@fanwire/bus";
import { type DurableTarget, isProvablyComplete, type Position, type Replay } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { openLog, type TestLog } from "./support/log.ts";
import { accepts, startNats } from "./support/nats.ts";
import { until } from "./support/wait.ts";

const everyone: DurableTarget = { kind: "everyone" };
const topic = (name: string): DurableTarget => ({ kind: "topic", topic: name });
const text = (content: string) => Buffer.from(content);
const numbers = (count: number) => Array.from({ length: count }, (_, at) => String(at));

function append({ log, subjects }: TestLog, target: DurableTarget, content: string, id?: string) {
  return log.append(subjects.log(target), text(content), [["Event", "e"]], id);
}

async function appended(...args: Parameters<typeof append>): Promise<Position> {
  return positionOf(await append(...args));
}

function positionOf(outcome: AppendOutcome): Position {
  if (!outcome.ok) throw new Error(`${outcome.reason}: ${outcome.detail}`);
  return outcome.position;
}

function pageOf(outcome: ReadOutcome) {
  if (!outcome.ok) throw new Error(`${outcome.reason}: ${outcome.detail}`);
  return outcome;
}

const contents = (publications: readonly LoggedPublication[]) =>
  publications.map(({ content }) => Buffer.from(content).toString());

/** Reads a target to its end, as who resumes does. */
async function replay({ log, subjects }: TestLog, target: DurableTarget, since: Position) {
  const publications: LoggedPublication[] = [];
  for (let after = since.sequence; ; ) {
    const page = pageOf(await log.read({ filter: subjects.logFilter(target), after, limit: 100 }));
    publications.push(...page.publications);
    after = page.next;
    if (!page.isEnd) continue;
    const counts = new Map<string, number>();
    for (const { subject } of publications) counts.set(subject, (counts.get(subject) ?? 0) + 1);
    const found = await log.find(since.sequence);
    const subjectAtSince = found.ok ? found.publication?.subject : undefined;
    const facts: Replay = { since, counts, log: page.log, subjectAtSince };
    return { publications, isComplete: isProvablyComplete(facts) };
  }
}

test("what is appended has a position and is read back in order, by pages, whole", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const { log, subjects } = opened;

  const positions = (await Promise.all(numbers(250).map((n) => append(opened, topic("a.b"), n)))).map(positionOf);
  await appended(opened, everyone, "other");
  const first = pageOf(await log.read({ filter: subjects.logFilter(topic("a.b")), after: 0, limit: 100 }));
  const second = pageOf(await log.read({ filter: subjects.logFilter(topic("a.b")), after: first.next, limit: 100 }));
  const third = pageOf(await log.read({ filter: subjects.logFilter(topic("a.b")), after: second.next, limit: 100 }));

  expect(positions.map(({ sequence }) => sequence)).toEqual(numbers(250).map((n) => Number(n) + 1));
  expect(new Set(positions.map(({ epoch }) => epoch))).toEqual(new Set([log.epoch]));
  expect([first.isEnd, second.isEnd, third.isEnd]).toEqual([false, false, true]);
  const all = [first, second, third].flatMap(({ publications }) => publications);
  expect(contents(all)).toEqual(numbers(250));
  expect(all.map(({ sequence }) => sequence)).toEqual(positions.map(({ sequence }) => sequence));
  expect(new Set(all.map(({ headers }) => headers?.get("Event")))).toEqual(new Set(["e"]));
  expect(all.every(({ target }) => JSON.stringify(target) === JSON.stringify(topic("a.b")))).toBe(true);
  expect(all.every(({ time }) => Math.abs(time.getTime() - Date.now()) < 60_000)).toBe(true);
  expect(third.log).toEqual({ epoch: log.epoch, firstSequence: 1, lastSequence: 251, maxPerSubject: 1_000 });
});

test("patterns read what they match, single publications and last ones are found, and consumers leave", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const { log, subjects, bus } = opened;
  const names = ["news.de", "news.fr", "news.de.berlin", "other"];
  for (const round of numbers(10)) for (const name of names) await appended(opened, topic(name), `${name} ${round}`);

  const read = async (pattern: string) =>
    contents(pageOf(await log.read({ filter: subjects.logFilter(topic(pattern)), after: 0 })).publications);

  expect((await read("news.*")).length).toBe(20);
  expect((await read("news.>")).slice(0, 4)).toEqual(["news.de 0", "news.fr 0", "news.de.berlin 0", "news.de 1"]);
  expect(await read("news.it")).toEqual([]);
  expect(await log.last(subjects.logFilter(topic("news.*")))).toEqual({ ok: true, sequence: 38 });
  expect(await log.last(subjects.log(everyone))).toEqual({ ok: true, sequence: 0 });
  const found = await log.find(3);
  expect(found.ok && found.publication?.target).toEqual(topic("news.de.berlin"));
  expect(await log.find(99)).toEqual({ ok: true, publication: undefined });
  expect(await log.find(0)).toEqual({ ok: true, publication: undefined });
  await until("no consumer is left", async () => {
    const info = await bus.request("$JS.API.STREAM.INFO.FANWIRE_LOG", text(""), { timeoutMs: 1_000 });
    return info.ok && JSON.parse(Buffer.from(info.message.data).toString()).state.consumer_count === 0;
  });
});

test("a page holds no more bytes than asked for, and never nothing", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  for (const n of numbers(30)) await appended(opened, everyone, n.repeat(50_000));

  let after = 0;
  const pages: number[] = [];
  for (let isEnd = false; !isEnd; ) {
    const page = pageOf(await opened.log.read({ filter: opened.subjects.log(everyone), after, maxBytes: 400_000 }));
    pages.push(page.publications.length);
    after = page.next;
    isEnd = page.isEnd;
  }

  expect(pages.reduce((sum, count) => sum + count)).toBe(30);
  expect(Math.max(...pages)).toBeLessThanOrEqual(9);
});

test("an id stores once for a subject, and not at all against another subject's", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });

  const first = await append(opened, topic("a"), "one", "7");
  const again = await append(opened, topic("a"), "two", "7");
  const elsewhere = await append(opened, topic("b"), "three", "7");
  const page = pageOf(await opened.log.read({ filter: opened.subjects.allLogged, after: 0 }));

  const { position } = { position: positionOf(first) };
  expect(first).toEqual({ ok: true, position, duplicate: false });
  expect(again).toEqual({ ok: true, position, duplicate: true });
  expect(elsewhere).toEqual({ ok: true, position: { ...position, sequence: 2 }, duplicate: false });
  expect(contents(page.publications)).toEqual(["one", "three"]);
});

test("what is stored is heard live, with its own headers and where it stands", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const heard: unknown[] = [];
  opened.bus.subscribe(opened.subjects.allLive, ({ subject, data, headers }) => {
    const names = ["Event", "Nats-Sequence", "Nats-Last-Sequence"];
    heard.push([subject, Buffer.from(data).toString(), ...names.map((name) => headers?.get(name))]);
  });

  for (const content of ["x", "y", "z"]) await appended(opened, topic("a.ж"), content);
  await append(opened, everyone, "all", "1");
  await append(opened, everyone, "all", "1");

  await until("all are heard", () => heard.length === 4);
  const subject = "fanwire.live.topic.a.=D0=B6";
  expect(heard).toEqual([
    [subject, "x", "e", "1", "0"],
    [subject, "y", "e", "2", "1"],
    [subject, "z", "e", "3", "2"],
    ["fanwire.live.all", "all", "e", "4", "0"],
  ]);
});

test("more missed than a subject keeps cannot be proven complete, fewer can", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url], config: { maxPerSubject: 20 } });
  const start = await appended(opened, topic("a"), "start");
  const other = await appended(opened, topic("b"), "other");
  for (const n of numbers(19)) await appended(opened, topic("a"), n);

  expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: true });
  expect((await replay(opened, topic("a"), start)).publications.length).toBe(19);
  const last = await appended(opened, topic("a"), "19");
  // As many came back as are kept, and what stands at the position is of another topic: nobody can know.
  expect(await replay(opened, topic("a"), other)).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("a"), { ...start, sequence: 0 })).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("b"), start)).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("*"), { ...start, sequence: 4 })).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("a"), last)).toEqual({ publications: [], isComplete: true });
});

test("what the log dropped by bytes cannot be proven complete, what it kept can", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url], config: { maxBytes: 100_000 } });
  const positions: Position[] = [];
  for (const n of numbers(30)) positions.push(await appended(opened, topic(n), "x".repeat(10_000)));

  const state = await opened.log.state();
  if (!state.ok) throw new Error(state.detail);
  const { firstSequence } = state.log;
  expect(firstSequence).toBeGreaterThan(20);
  const since = (sequence: number) => ({ epoch: state.log.epoch, sequence });
  expect(await replay(opened, topic("*"), since(firstSequence - 1))).toMatchObject({ isComplete: true });
  expect(await replay(opened, topic("*"), since(firstSequence - 2))).toMatchObject({ isComplete: false });
  expect(await replay(opened, topic("never"), since(1))).toEqual({ publications: [], isComplete: false });
  expect(await replay(opened, topic("never"), since(31))).toMatchObject({ isComplete: false });
});

test("what the log dropped by age cannot be proven complete", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url], config: { maxAgeSeconds: 1 } });
  const [first] = [await appended(opened, everyone, "1")];
  const last = await appended(opened, everyone, "2");

  await until("all are gone", async () => {
    const state = await opened.log.state();
    return state.ok && state.log.firstSequence === 3;
  });

  expect(await replay(opened, everyone, first)).toEqual({ publications: [], isComplete: false });
  expect(await replay(opened, everyone, last)).toEqual({ publications: [], isComplete: true });
});

test("a recreated stream is another epoch, for who appends and who reads", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  await using reader = await openLog({ servers: [nats.url] });
  await using deleter = await openLog({ servers: [nats.url] });
  const before = await appended(opened, everyone, "1");
  await reader.log.state();
  expect(reader.log.epoch).toBe(before.epoch);

  await deleter.bus.request("$JS.API.STREAM.DELETE.FANWIRE_LOG", text(""), { timeoutMs: 2_000 });
  const recreated = await appended(deleter, everyone, "2");

  expect(recreated.sequence).toBe(1);
  expect(recreated.epoch).not.toBe(before.epoch);
  expect(await replay(reader, everyone, before)).toMatchObject({ isComplete: false });
  expect(reader.log.epoch).toBe(recreated.epoch);
  const noticed = async () => (await appended(opened, everyone, "3")).epoch === recreated.epoch;
  await until("who appends notices within a second or so", noticed, 2_000);
});

test("a deleted stream is created again by the next who needs it, also to read", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const before = await appended(opened, everyone, "1");

  for (const need of [
    async () => (await appended(opened, everyone, "2")).epoch,
    async () => pageOf(await opened.log.read({ filter: opened.subjects.log(everyone), after: 0 })).log.epoch,
  ]) {
    await opened.bus.request("$JS.API.STREAM.DELETE.FANWIRE_LOG", text(""), { timeoutMs: 2_000 });
    expect(await need()).not.toBe(before.epoch);
  }
});

test("several who create it at once share one, and other limits are said and used as they are", async () => {
  await using nats = await startNats();
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const logger = createLog("test", "info");
  const options = { servers: [nats.url], logger };
  const opened = await Promise.all(
    [1, 2, 3, 4, 5].map((n) => openLog({ ...options, config: { maxPerSubject: n <= 4 ? 7 : 8 } })),
  );

  const positions = await Promise.all(opened.map((one) => appended(one, everyone, "x")));
  const states = await Promise.all(opened.map(({ log }) => log.state()));
  write.mockRestore();

  expect(positions.map(({ sequence }) => sequence).sort()).toEqual([1, 2, 3, 4, 5]);
  expect(new Set(positions.map(({ epoch }) => epoch)).size).toBe(1);
  expect(new Set(states.map((state) => state.ok && state.log.maxPerSubject)).size).toBe(1);
  const warnings = lines.filter((line) => line.includes("other limits"));
  expect(warnings.length).toBeGreaterThan(0);
  for (const line of warnings) expect(line).toContain('"max_msgs_per_subject":{"is":');
  await Promise.all(opened.map(({ bus }) => bus.stop()));
});

test("a stream of that name that keeps something else is not used", async () => {
  await using nats = await startNats();
  await using theirs = await openLog({ servers: [nats.url], prefix: "a.b" });
  await using ours = await openLog({ servers: [nats.url], prefix: "a_b" });
  await appended(theirs, everyone, "x");

  const outcome = await append(ours, everyone, "y");

  expect(outcome).toMatchObject({ ok: false, reason: "unusable", detail: /A_B_LOG does not keep a_b\.log\.>/ });
});

test("without JetStream the log says so at once, and is there when JetStream is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(conf, "");
  await using nats = await startNats(["-c", conf], { jetStream: false });
  await using opened = await openLog({ servers: [nats.url] });
  const none = { ok: false, reason: "no-jetstream", detail: "the NATS server runs without JetStream" };

  expect(await append(opened, everyone, "x")).toEqual(none);
  expect(await opened.log.state()).toEqual(none);
  expect(await opened.log.read({ filter: opened.subjects.log(everyone), after: 0 })).toEqual(none);
  expect(await opened.log.last(opened.subjects.log(everyone))).toEqual(none);

  await nats.stop();
  await writeFile(conf, `jetstream { store_dir: ${JSON.stringify(join(folder, "js"))} }`);
  await nats.restart();
  await until("it is connected again", () => opened.bus.health().alive);
  expect(await appended(opened, everyone, "y")).toMatchObject({ sequence: 1 });
  await rm(folder, { recursive: true });
});

/** As deploy/nats-users.conf has them. */
const documentedPermissions = [
  ...["fanwire.live.>", "fanwire.log.>", "fanwire.control.>", "_INBOX.>"],
  ...["INFO", "CREATE", "MSG.GET"].map((request) => `$JS.API.STREAM.${request}.FANWIRE_LOG`),
  ...["CREATE.FANWIRE_LOG.>", "MSG.NEXT.FANWIRE_LOG.>", "DELETE.FANWIRE_LOG.*"].map(
    (rest) => `$JS.API.CONSUMER.${rest}`,
  ),
];

test("an account without JetStream, and a user who may not use it, are told apart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fanwire-conf-"));
  const conf = join(folder, "nats.conf");
  await writeFile(
    conf,
    `jetstream { store_dir: ${JSON.stringify(join(folder, "js"))} }
     accounts {
       A: { users: [{ user: without, password: p }] }
       B: { jetstream: enabled, users: [
            { user: with, password: p, permissions: {
              publish: ${JSON.stringify(documentedPermissions)}, subscribe: "_INBOX.>" } },
            { user: limited, password: p, permissions: { publish: ["fanwire.>", "_INBOX.>"], subscribe: ">" } }] }
     }`,
  );
  await using nats = await startNats(["-c", conf], { jetStream: false });
  await using without = await openLog({ servers: [nats.url], user: "without" });
  await using limited = await openLog({ servers: [nats.url], user: "limited" });
  await using allowed = await openLog({ servers: [nats.url], user: "with" });

  expect(await append(without, everyone, "x")).toMatchObject({ ok: false, reason: "no-jetstream", detail: /account/ });
  expect(await append(limited, everyone, "x")).toMatchObject({ ok: false, reason: "forbidden" });
  expect(await limited.log.state()).toMatchObject({ ok: false, reason: "forbidden" });
  for (const n of numbers(50)) expect(await appended(allowed, everyone, n)).toMatchObject({ sequence: Number(n) + 1 });
  const { publications, isComplete } = await replay(allowed, everyone, { epoch: allowed.log.epoch ?? "", sequence: 0 });
  expect([publications.length, isComplete]).toEqual([50, true]);
  await rm(folder, { recursive: true });
});

test("a limit that JetStream cannot keep is told, in its words", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url], config: { replicas: 3 } });

  expect(await append(opened, everyone, "x")).toMatchObject({ ok: false, reason: "unusable", detail: /replicas/ });
});

test("content beyond max_payload is refused, headers included", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const limit = opened.bus.maxPayloadBytes();

  expect(await append(opened, everyone, "x".repeat(limit))).toMatchObject({ ok: false, reason: "too-large" });
  expect(await appended(opened, everyone, "x".repeat(limit - 200))).toMatchObject({ sequence: 1 });
});

test("over a restart of NATS nothing acknowledged is lost, the epoch stays, and appending waits for it", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const before = await appended(opened, everyone, "before");

  await nats.stop();
  await until("the loss is noticed", () => !opened.bus.health().alive);
  expect(await opened.log.state()).toMatchObject({ ok: false, reason: "unavailable" });
  const waiting = append(opened, everyone, "during");
  await nats.restart();

  expect(await appended(opened, everyone, "after")).toMatchObject({ epoch: before.epoch });
  expect(await waiting).toMatchObject({ ok: true });
  const { publications, isComplete } = await replay(opened, everyone, { ...before, sequence: 0 });
  expect(contents(publications).sort()).toEqual(["after", "before", "during"]);
  expect(isComplete).toBe(true);
});

test("while NATS stays away an append ends with the word that nothing was stored", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  await appended(opened, everyone, "before");

  await nats.stop();
  await until("the loss is noticed", () => !opened.bus.health().alive);
  const startedAt = performance.now();
  expect(await append(opened, everyone, "x")).toMatchObject({ ok: false, reason: "unavailable" });

  expect(performance.now() - startedAt).toBeLessThan(4_000);
});

test("an append whose acknowledgement never comes may be stored, and says so", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  await appended(opened, everyone, "before");

  nats.signal("SIGSTOP");
  await until("it hangs", async () => !(await Promise.race([accepts(nats.port), delay(200, false)])));
  const outcome = await append(opened, everyone, "x");
  nats.signal("SIGCONT");

  expect(outcome).toMatchObject({ ok: false, reason: "unconfirmed" });
});

test("a read that is no longer wanted ends", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });

  const read = opened.log.read({
    filter: opened.subjects.allLogged,
    after: 0,
    signal: AbortSignal.abort(new Error("gone")),
  });

  await expect(read).rejects.toThrow("gone");
});

test("a read comes to its end though more is stored whenever it has read what there was", async () => {
  await using nats = await startNats();
  await using opened = await openLog({ servers: [nats.url] });
  const { log, subjects, bus } = opened;
  for (const content of numbers(10)) await appended(opened, everyone, content);
  const more: Promise<unknown>[] = [];
  bus.subscribe("$JS.API.CONSUMER.MSG.NEXT.FANWIRE_LOG.>", () => more.push(append(opened, everyone, "more")));
  await bus.confirm();

  const page = pageOf(await log.read({ filter: subjects.allLogged, after: 0, limit: 300 }));
  await Promise.all(more);

  expect(page.isEnd).toBe(true);
  expect(contents(page.publications).slice(0, 10)).toEqual(numbers(10));
});
