import { createConnection } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { formatPosition } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { caughtUp, metric, readiness, startPusher } from "../support/cluster.ts";
import { everyone, topic } from "../support/durable.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { openHistory } from "../support/history.ts";
import { startNats } from "../support/nats.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

/** Position of a copy that another one follows. */
const COPY = /\.[0-9]{10}$/;
const LARGE = "x".repeat(4_000);

const { nats, history, pushers } = useCluster({ history: { maxBytes: 262_144 }, pusher: { PUSHER_WORKERS: "1" } });
const [pusher] = pushers;

/** Publishes to busy topics until nothing that was stored before is left. The worker keeps pace, so it misses nothing. */
async function turnOver(): Promise<void> {
  const before = await history.history.state();
  if (!before.ok) throw new Error(before.detail);
  await until("the history has turned over", async () => {
    await Promise.all(Array.from({ length: 20 }, (_, at) => history.append(topic(`busy.${at}`), LARGE)));
    const now = await history.history.state();
    if (!now.ok) return false;
    const { epoch, firstSequence, lastSequence: sequence } = now.history;
    await caughtUp(pusher, formatPosition({ epoch, sequence }));
    return firstSequence > before.history.lastSequence;
  });
}

test("a resume of a quiet topic is recovered although busy topics replaced all stored publications", async () => {
  const since = await history.append(topic("quiet.own"), "1");
  await turnOver();

  const own = await connectFanwire(pusher.url, { topic: "quiet.own", since });
  const byPattern = await connectFanwire(pusher.url, { topic: ["quiet.*", "quiet.own"], since });
  const never = await connectFanwire(pusher.url, { topic: "never.published", since });
  await history.append(topic("quiet.own"), "2");
  await until(
    "the client receives new publications",
    () => own.publications.length === 1 && byPattern.publications.length === 2,
  );

  for (const { welcome } of [own, byPattern, never]) expect(welcome).toMatchObject({ recovered: true });
  expect([own.data(), byPattern.data(), never.data()]).toEqual([["2"], ["2", "2"], []]);
});

test("a resume that missed expired publications is not recovered, with the reason, by WebSocket, SSE, command and metric", async () => {
  const since = await history.append(topic("expired"), "1");
  await history.append(topic("expired"), "2");
  await turnOver();
  await history.append(topic("expired"), "3");
  const before = await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "expired" });

  const back = await connectFanwire(pusher.url, { topic: "expired", since });
  const reply = await back.ask({ command: "subscribe", topic: "expired.*", since });
  const wide = await back.ask({ command: "subscribe", topic: "expired", since });
  const events = await readEvents(`${pusher.sseUrl}?topic=expired&since=${since}`);
  await until("the reader receives the gap event", () => events.events().some(({ event }) => event === "fanwire.gap"));

  expect(back.welcome).toMatchObject({ recovered: false, reason: "expired" });
  expect(reply).toMatchObject({ recovered: true });
  expect(wide).toMatchObject({ ok: true, recovered: false, reason: "already-subscribed" });
  expect(await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "already-subscribed" })).toBe(1);
  expect(JSON.parse(events.events().find(({ event }) => event === "fanwire.gap")?.data ?? "")).toEqual({
    reason: "expired",
  });
  expect(await metric(pusher.adminUrl, "fanwire_pusher_resumed_total", { outcome: "expired" })).toBeGreaterThan(before);
  expect(pusher.process.output()).toContain("clients resumed without recovering");
});

test("an EventSource resumes between the copies of one publication, and a reader without overlapping topics receives plain ids", async () => {
  const query = "topic=copies.a&topic=copies.*&topic=copies.>";
  const url = (at: number) => `${pushers[at]?.url.replace("ws:", "http:")}sse?${query}`;
  const stream = await readEvents(url(0));
  const plain = await readEvents(`${pusher.sseUrl}?topic=copies.a`);
  const position = await history.append(topic("copies.a"), "1");
  await until("all copies arrive", () => stream.events().length === 4 && plain.events().length === 2);
  const ids = stream.events().map(({ id }) => id ?? "");
  expect(ids.slice(1)).toEqual([expect.stringMatching(COPY), expect.stringMatching(COPY), position]);
  expect(plain.events().at(-1)?.id).toBe(position);
  stream.close();
  await history.append(topic("copies.a"), "2");

  for (const [had, id] of ids.entries()) {
    const back = await readEvents(url(1), { "last-event-id": id });
    await until("the other publications arrive", () => back.events().length === 1 + 3 - had + 3);
    const data = back.events().flatMap(({ event, data }) => (event === undefined ? [data] : []));
    expect(JSON.parse(back.events()[0]?.data ?? "")).toMatchObject({ recovered: true });
    expect(data, id).toEqual([...Array<string>(3 - had).fill("1"), "2", "2", "2"]);
    back.close();
  }
});

test("a fanwire.v1 client resumes between the copies of one publication", async () => {
  const topics = ["resume.a", "resume.*"];
  const client = await connectFanwire(pusher.url, { topic: topics });
  const position = await history.append(topic("resume.a"), "1");
  await until("both copies arrive", () => client.publications.length === 2);
  client.socket.close();
  const [first, last] = client.publications;
  expect([first?.position, last?.position, last?.resume]).toEqual([position, position, undefined]);

  const back = await connectFanwire(pushers[1].url, { topic: topics, since: String(first?.resume) });
  await history.append(topic("resume.a"), "2");

  await until("the other publications arrive", () => back.publications.length === 3);
  expect(back.publications.map(({ subscription, data }) => [subscription, data])).toEqual([
    [last?.subscription, "1"],
    [first?.subscription, "2"],
    [last?.subscription, "2"],
  ]);
});

test("a topic that a connected client subscribes to with a position has a separate position until it is recovered", async () => {
  const since = await history.append(topic("later"), "1");
  await history.append(topic("later"), "2");
  const client = await connectFanwire(pusher.url, { topic: "else" });
  await history.append(topic("else"), "e");
  await until("the publication arrives", () => client.publications.length === 1);
  const position = String(client.publications[0]?.position);

  expect(await client.ask({ command: "subscribe", topic: "later", since })).toMatchObject({ recovered: true });
  await until("the missed publication arrives", () => client.publications.length === 2);
  await history.append(topic("later"), "3");
  await until("the client receives new publications", () => client.publications.length === 3);

  const [, missed, live] = client.publications;
  expect(client.messages.slice(2).map(({ type }) => type)).toEqual(["reply", "publication", "publication"]);
  expect([missed?.data, missed?.recovered, live?.data, live?.recovered]).toEqual(["2", true, "3", undefined]);
  expect([missed?.position, typeof missed?.since, live?.since]).toEqual([undefined, "string", undefined]);
  expect(Number(String(live?.position).split("-")[1])).toBeGreaterThan(Number(position.split("-")[1]));
});

test("a message with the sequence of another stream is delivered as live, and a forged sequence is ignored", async () => {
  const client = await connectFanwire(pusher.url, { topic: "foreign" });
  const forge = (stream: string, sequence: number, data: string) =>
    history.bus.publish(history.subjects.live({ kind: "topic", topic: "foreign" }), Buffer.from(data), [
      ["Nats-Stream", stream],
      ["Nats-Sequence", String(sequence)],
      ["Nats-Subject", "fanwire.history.topic.foreign"],
    ]);
  const last = await history.append(topic("foreign"), "1");
  const next = Number(last.split("-")[1]) + 1;
  await until("the stored one arrives", () => client.publications.length === 1);

  await forge("OTHER", 5_000_000, "of another stream");
  await forge("FANWIRE_HISTORY", 5_000_000, "made up");
  await forge("FANWIRE_HISTORY", next, "made up for what comes next");
  await forge("FANWIRE_HISTORY", next + 1, "X");
  await forge("FANWIRE_HISTORY", 1, "made up for what was");
  for (const data of ["2", "3"]) await history.append(topic("foreign"), data);

  await until("all publications arrive", () => client.data().includes("3"));
  expect(client.data()).toEqual(["1", "of another stream", "2", "3"]);
  const [, foreign] = client.publications;
  expect(foreign?.position).toBeUndefined();
  const back = await connectFanwire(pusher.url, {
    topic: "foreign",
    since: String(client.publications[2]?.position),
  });
  expect(back.welcome).toMatchObject({ recovered: true });
  await until("the missed publications arrive", () => back.data().includes("3"));
});

const unterminated = ["NATS/1.0\r\nEvent: a", "NATS/1.0", "garbage"];
const malformed = ["Trace Id: 7", "Größe: 7", "Event: a\rb", "no colon"].map((line) => `NATS/1.0\r\n${line}\r\n\r\n`);
test.each([...malformed, ...unterminated])(
  "poison message: a stored publication with the malformed header block %j is delivered once and replayed",
  async (head) => {
    const name = `poison.${Buffer.from(head).toString("hex")}`;
    const raw = await connectRawClient(`${pusher.url}?topic=${name}`);
    const since = await history.append(topic(name), "1");

    await store(name, head, "poison");
    await history.append(topic(name), "2");

    await until("all publications arrive", () => raw.frames.includes("2"));
    expect(raw.frames.slice(-3)).toEqual(["1", "poison", "2"]);
    const back = await connectFanwire(pushers[1].url, { topic: name, since });
    await until("the publications are replayed", () => back.publications.length === 2);
    expect(back.data()).toEqual(["poison", "2"]);
  },
);

/** Stores a publication with a header block that no client library writes. */
async function store(name: string, head: string, content: string): Promise<void> {
  const size = Buffer.byteLength(head);
  const subject = history.subjects.history({ kind: "topic", topic: name });
  const socket = createConnection({ host: "127.0.0.1", port: nats.port });
  let output = "";
  socket.on("data", (data) => {
    output += data;
  });
  socket.write('CONNECT {"verbose":false,"headers":true,"protocol":1}\r\n');
  socket.write(`HPUB ${subject} ${size} ${size + content.length}\r\n${head}${content}\r\nPING\r\n`);
  await until("NATS has stored it", () => output.includes("PONG"));
  socket.destroy();
}

test("the position in the welcome includes everything that was delivered before", async () => {
  const stays = await connectFanwire(pusher.url, { topic: "fresh" });
  for (let at = 0; at < 20; at++) {
    const position = await history.append(topic("fresh"), String(at));
    await until("the publication arrives", () => stays.publications.length === at + 1);

    const client = await connectFanwire(pusher.url, { topic: "fresh" });

    expect(client.welcome.position).toBe(position);
    client.socket.terminate();
  }
  await history.append(everyone, "end");
});

const api = "$JS.API";
const anything = { subscribe: ">" };
/** Users of NATS that may not describe the history, may not read from its consumers, and may do everything. */
const users = [
  { user: "blind", password: "p", permissions: { publish: { deny: `${api}.STREAM.>` }, ...anything } },
  { user: "silent", password: "p", permissions: { publish: { deny: `${api}.CONSUMER.MSG.NEXT.>` }, ...anything } },
  { user: "all", password: "p" },
];

test("a worker whose user may not read the history is not ready once a durable publication exists", async () => {
  await using own = await startNats([], { config: `authorization: { users: ${JSON.stringify(users)} }` });
  await using publisher = await openHistory({ servers: [own.url], user: "all" });
  const append = (data: string) => publisher.history.append(publisher.subjects.history(topic("t")), Buffer.from(data));
  await append("creates the history");
  const startAs = (user: string) => {
    const env = { PUSHER_WORKERS: "1", FANWIRE_NATS_USER: user, FANWIRE_NATS_PASSWORD: "p" };
    return startPusher({ nats: own.url, env });
  };
  await using blind = await startAs("blind");
  await using silent = await startAs("silent");
  const client = await connectFanwire(blind.url, { topic: "t" });
  await delay(11_000); // longer than a worker waits for the history
  // It may serve live publications alone.
  expect(await readiness(blind.adminUrl)).toMatchObject({ status: 200 });

  await append("1");

  const isUnready = async (adminUrl: string) => {
    const { status, text } = await readiness(adminUrl);
    return status === 503 && text.includes("history cannot be read");
  };
  for (const { adminUrl } of [blind, silent]) {
    await until("the worker is not ready", () => isUnready(adminUrl), 30_000);
  }
  expect(client.publications).toEqual([]);
}, 60_000);
