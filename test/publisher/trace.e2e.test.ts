import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { metric, startPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireClient } from "../support/fanwire-client.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { type OpenTrace, openTrace } from "../support/trace.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const settings = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">", PUSHER_WORKERS: "1" };
const { nats, bus, history, pushers, publisher } = useCluster({
  history: { maxPerSubject: 3 },
  pusher: { ...settings, PUSHER_MAX_UNSENT_BYTES: "65536", PUSHER_TOKEN_LEEWAY_SECONDS: "0" },
});

const traced = (query: Record<string, string> = {}) => openTrace(publisher.url, query);

async function connectAs(at: 0 | 1, query: Record<string, string | string[]>, user?: string): Promise<FanwireClient> {
  const claims = { ...(user !== undefined && { sub: user }), topics: [">", "private-*"] };
  return connectFanwire(pushers[at].url, { ...query, token: await signToken(claims) });
}

const publish = async (publication: object) => {
  const { status, body } = await postPublication<{ position?: string }>(publisher, publication);
  expect(status).toBe(200);
  return body.position;
};

const untilCount = (trace: OpenTrace, kind: string, count: number) =>
  until(
    () => `${count} of ${kind}: ${JSON.stringify(trace.of(kind))}`,
    () => trace.of(kind).length >= count,
  );

test("a trace shows publications of each target with what is known about them", async () => {
  const { address } = await connectRawClient(pushers[0].url);
  const trace = await traced();

  await publish({ target: { everyone: true }, data: "to all", except: address });
  await publish({ target: { topic: "orders.7" }, data: "{}", event: "paid", id: "4711" });
  await publish({ target: { topic: "private-a" }, data: "AP8=", encoding: "base64" });
  await publish({ target: { user: "анна" }, data: `${"x".repeat(2_047)}яя` });
  await publish({ target: { connection: address }, data: "to one" });
  const position = await publish({ target: { topic: "kept" }, data: "stored", durable: true });
  await bus.publish("fanwire.live.topic.=zz", Buffer.from("no topic"));
  await bus.publish(subjects.live({ kind: "everyone" }), Buffer.from("raw"), [["Except", "nobody"]]);

  await untilCount(trace, "publication", 7);
  const plain = { event: "message", durable: false };
  expect(trace.of("publication")).toEqual([
    { ...plain, target: { everyone: true }, data: "to all", bytes: 6, except: address },
    { ...plain, target: { topic: "orders.7" }, data: "{}", bytes: 2, event: "paid", id: "4711" },
    { ...plain, target: { topic: "private-a" }, data: "AP8=", encoding: "base64", bytes: 2 },
    { ...plain, target: { user: "анна" }, data: "x".repeat(2_047), bytes: 2_051 },
    { ...plain, target: { connection: address }, data: "to one", bytes: 6 },
    { ...plain, target: { topic: "kept" }, data: "stored", bytes: 6, durable: true, position },
    { ...plain, target: { everyone: true }, data: "raw", bytes: 3 },
  ]);
  expect(trace.of("skipped")).toEqual([]);
});

test("a trace shows connections and subscriptions of every worker, and why a connection was closed", async () => {
  const trace = await traced({ kinds: "connection,subscription" });
  const opened = (connection: string, protocol: string, user?: string) => ({
    state: "opened",
    connection,
    protocol,
    remoteAddress: expect.stringMatching(/127\.0\.0\.1|::1/),
    ...(user !== undefined && { user }),
  });

  const anna = await connectAs(0, { topic: "orders.*" }, "anna");
  const address = anna.welcome.connection;
  await anna.ask({ command: "subscribe", topic: "private-x" });
  await anna.ask({ command: "unsubscribe", topic: "orders.*" });
  anna.socket.close(4_001, "bye");
  const raw = await connectRawClient(pushers[1].url);
  await callApi(publisher, "PUT", `/v1/connections/${raw.address}/topics/news`);
  await callApi(publisher, "DELETE", `/v1/connections/${raw.address}`);
  await until("the API has closed it", () => raw.close);
  const stream = await readEvents(pushers[1].sseUrl);
  stream.close();

  await untilCount(trace, "connection", 6);
  const of = (connection: string) => trace.of("connection").filter((event) => event.connection === connection);
  const closed = { state: "closed", connection: address, protocol: "fanwire.v1", user: "anna" };
  expect(of(address)).toEqual([opened(address, "fanwire.v1", "anna"), { ...closed, code: 4_001, reason: "bye" }]);
  expect(of(raw.address)).toEqual([
    opened(raw.address, "raw"),
    { state: "closed", connection: raw.address, protocol: "raw", code: 4_403, reason: raw.close?.reason },
  ]);
  expect(of(stream.address())).toMatchObject([opened(stream.address(), "sse"), { state: "closed", code: 1_006 }]);
  const subscriptions = trace.of("subscription");
  expect(subscriptions.filter(({ connection }) => connection === address)).toEqual([
    { state: "subscribed", connection: address, user: "anna", topic: "orders.*" },
    { state: "subscribed", connection: address, user: "anna", topic: "private-x" },
    { state: "unsubscribed", connection: address, user: "anna", topic: "orders.*" },
  ]);
  expect(subscriptions).toContainEqual({ state: "subscribed", connection: raw.address, topic: "news" });
});

test("the reason of a closing names the limit that a connection exceeded, and the end of its token", async () => {
  const trace = await traced({ kinds: "connection" });
  const slow = [await connectRawClient(pushers[0].url), await connectFanwire(pushers[1].url)] as const;
  const stream = await readEvents(pushers[0].sseUrl);
  for (const { socket } of slow) socket.pause();
  stream.response.pause();
  const addresses = [slow[0].address, slow[1].welcome.connection, stream.address()];
  const closed = () => trace.of("connection").filter(({ state }) => state === "closed");
  const hasClosed = (address: string) => closed().some(({ connection }) => connection === address);

  const content = Buffer.from("x".repeat(60_000));
  const flood = Array.from({ length: 50 }, () => ({ subject: subjects.live({ kind: "everyone" }), content }));
  await until("the slow consumers are dropped", async () => {
    await bus.publishAll(flood);
    return addresses.every(hasClosed);
  });
  const token = await signToken({ sub: "brief" }, { expiresInSeconds: 4 });
  const brief = await connectFanwire(pushers[0].url, { token });
  await until("the token expires", () => hasClosed(brief.welcome.connection) && brief.close);

  for (const connection of addresses) {
    expect(closed()).toContainEqual(expect.objectContaining({ connection, code: 1_006, reason: "unsent-bytes" }));
  }
  expect(closed()).toContainEqual(
    expect.objectContaining({ connection: brief.welcome.connection, reason: brief.close?.reason }),
  );
});

test("a trace shows whether clients that resume recover, and why not", async () => {
  await history.history.state();
  const numbers = ["1", "2", "3", "4", "5"];
  const topic = "resumed";
  const positions: (string | undefined)[] = [];
  for (const data of numbers) positions.push(await publish({ target: { topic }, data, durable: true }));
  const trace = await traced({ kinds: "recovery", topic });

  for (const since of [positions[3], positions[0], "nonsense"]) await connectAs(1, { topic, since: since ?? "" });
  await connectAs(0, { topic });
  await connectAs(0, { topic: "other", since: positions[3] ?? "" });

  await untilCount(trace, "recovery", 3);
  const shown = { connection: expect.stringContaining("."), topics: [topic] };
  expect(trace.of("recovery")).toEqual([
    { ...shown, recovered: true, replayed: 1 },
    { ...shown, recovered: false, reason: "over-subject-limit", replayed: 0 },
    { ...shown, recovered: false, reason: "malformed", replayed: 0 },
  ]);
});

test("filters select topics by pattern, a user, a connection, or one of them", async () => {
  const anna = await connectAs(0, {}, "anna");
  const bob = await connectAs(1, {}, "bob");
  const address = bob.welcome.connection;
  const byTopic = await traced({ topic: "orders.*" });
  const byUser = await traced({ user: "anna" });
  const byConnection = await traced({ connection: address });
  const byBoth = await traced({ connection: address, topic: "private-a", kinds: "publication" });

  const targets = [{ everyone: true }, { topic: "orders.7" }, { topic: "private-a" }, { user: "anna" }];
  for (const target of [...targets, { connection: address }]) await publish({ target, data: "x" });
  for (const client of [anna, bob]) {
    for (const topic of ["orders.>", "news"]) await client.ask({ command: "subscribe", topic });
    client.socket.close(1_000);
  }

  const all = [byTopic, byUser, byConnection];
  await until("all closings are shown", () =>
    all.every((trace) => trace.of("connection").length === (trace === byTopic ? 2 : 1)),
  );
  const targetsOf = (trace: OpenTrace) => trace.of("publication").map(({ target }) => target);
  expect(targetsOf(byTopic)).toEqual([{ topic: "orders.7" }]);
  expect(targetsOf(byUser)).toEqual([{ user: "anna" }]);
  expect(targetsOf(byConnection)).toEqual([{ connection: address }]);
  expect(targetsOf(byBoth)).toEqual([{ topic: "private-a" }, { connection: address }]);
  expect(byBoth.of("connection")).toEqual([]);
  const topicsOf = (trace: OpenTrace) => trace.of("subscription").map(({ user, topic }) => [user, topic]);
  expect(topicsOf(byTopic).sort()).toEqual([
    ["anna", "orders.>"],
    ["bob", "orders.>"],
  ]);
  expect(topicsOf(byUser)).toEqual([
    ["anna", "orders.>"],
    ["anna", "news"],
  ]);
  expect(topicsOf(byConnection)).toEqual([
    ["bob", "orders.>"],
    ["bob", "news"],
  ]);
});

test("a flood is shown in part, with the note that something was left out", async () => {
  const trace = await traced();
  const { address } = await connectRawClient(pushers[0].url);
  const flood = Array.from({ length: 3_000 }, () => ({
    subject: subjects.live({ kind: "everyone" as const }),
    content: Buffer.from("x"),
  }));

  await bus.publishAll(flood);
  const leftOut = () => trace.of("skipped").reduce((sum, { events }) => sum + Number(events), 0);
  let connections = 1;
  // On a slow machine the first ones take so long that all of them are shown.
  await until("some connections are left out", async () => {
    await Promise.all(Array.from({ length: 150 }, () => connectRawClient(pushers[0].url)));
    connections += 150;
    return leftOut() > 0;
  });
  await until("left out publications are noted", () => {
    return trace.of("skipped").some(({ publications }) => publications === null);
  });
  const noted = () => trace.of("connection").length + leftOut();
  await until("all connections are shown or noted", () => noted() >= connections);

  expect(trace.of("publication").length).toBeLessThan(1_000);
  expect(trace.of("publication").length).toBeGreaterThanOrEqual(200);
  expect(trace.of("connection").length).toBeGreaterThanOrEqual(100);
  expect(noted()).toBe(connections);
  expect(await metric(publisher.adminUrl, "fanwire_publisher_trace_pauses_total")).toBeGreaterThan(0);
  expect(await metric(pushers[0].adminUrl, "fanwire_pusher_trace_events_skipped_total")).toBe(leftOut());
  await until("the trace continues", async () => {
    await publish({ target: { connection: address }, data: "after" });
    return trace.of("publication").some(({ data }) => data === "after");
  });
});

test("a trace includes a worker that starts later, and its drain", async () => {
  const trace = await traced({ kinds: "connection" });
  const late = await startPusher({ nats: nats.url, env: settings });
  const client = await connectRawClient(late.url);

  expect(await late.process.stop()).toBe(0);

  await untilCount(trace, "connection", 2);
  expect(trace.of("connection")).toMatchObject([
    { state: "opened", connection: client.address },
    { state: "closed", connection: client.address, code: 1_012, reason: client.close?.reason },
  ]);
});

test("a publisher has at most eight traces, and workers report to none when all are closed", async () => {
  const traces = await Promise.all(Array.from({ length: 8 }, () => traced({ kinds: "connection" })));
  const open = () => metric(pushers[0].adminUrl, "fanwire_pusher_traces");

  await expect(openTrace(publisher.url)).rejects.toThrow("answered 429");
  expect(await open()).toBe(8);
  for (const trace of traces) trace.close();
  await until("the workers have forgotten them", async () => (await open()) === 0);
  expect(await metric(publisher.adminUrl, "fanwire_publisher_traces")).toBe(0);
});

test("no proxy may compress a trace, which would buffer events, and no cache may store it", async () => {
  const { response } = await traced();

  expect(response.headers).toMatchObject({ "cache-control": "no-store, no-transform", "x-accel-buffering": "no" });
});

test("an unknown filter is refused, and HEAD opens no trace", async () => {
  for (const query of ["kinds=everything", "kinds=", "topic=a.>.b", "connection=nonsense", "user="]) {
    const { status } = await callApi(publisher, "GET", `/v1/trace?${query}`);
    expect(status, query).toBe(422);
  }
  const head = await fetch(`${publisher.url}/v1/trace`, { method: "HEAD" });
  expect([head.status, head.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
  expect(await metric(publisher.adminUrl, "fanwire_publisher_traces")).toBe(0);
});

test("while a trace is open, a publication to an unknown address is answered with 404", async () => {
  await traced();

  const { status } = await postPublication(publisher, { target: { connection: "zzzzzzzz.1" }, data: "x" });

  expect(status).toBe(404);
});
