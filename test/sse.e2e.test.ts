import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBus, publishToEveryone, publishToTopic, subjects, type TestBus } from "./support/bus.ts";
import { metric, startPusher, type TestPusher } from "./support/cluster.ts";
import { readEvents } from "./support/event-stream.ts";
import { startNats, type TestNats } from "./support/nats.ts";
import { connectRaw } from "./support/raw-socket.ts";
import { until } from "./support/wait.ts";

let nats: TestNats;
let bus: TestBus;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus(nats.url);
});
afterAll(async () => {
  await bus.stop();
  await nats[Symbol.asyncDispose]();
});

const start = (env: Record<string, string> = {}) =>
  startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1", ...env } });
const sse = (pusher: TestPusher, query = "") => `${pusher.url.replace("ws:", "http:")}sse${query}`;

test("a stream begins with a welcome and carries events as an EventSource reads them", async () => {
  await using pusher = await start();
  const stream = await readEvents(sse(pusher, "?topic=a"));

  await publishToTopic(bus, "a", "one\ntwo\r\nthree", [["Event", "paid"]]);
  await publishToTopic(bus, "a", Buffer.from([0xff]));

  await until("both came", () => stream.events().length === 3);
  const [welcome, ...events] = stream.events();
  expect(stream.response.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  expect(welcome?.event).toBe("fanwire.welcome");
  expect(JSON.parse(welcome?.data ?? "")).toMatchObject({
    connection: expect.stringMatching(/^\w{8}\.\d+$/),
    recovered: null,
  });
  expect(events).toEqual([
    { event: "paid", data: "one\ntwo\nthree" },
    { event: "fanwire.binary", data: "/w==" },
  ]);
  stream.close();
});

test("a silent stream is kept alive by comments, longer than anything in between would wait", async () => {
  await using pusher = await start();
  const stream = await readEvents(sse(pusher));

  await until("the third comment", () => stream.text().split("\n: \n\n").length > 3, 40_000);

  expect(stream.hasEnded()).toBe(false);
  stream.close();
});

test("pages of allowed origins may read, others are refused", async () => {
  await using pusher = await start({ PUSHER_ALLOWED_ORIGINS: "https://app.example" });

  const stream = await readEvents(sse(pusher), { origin: "https://app.example" });
  expect(stream.response.headers).toMatchObject({
    "access-control-allow-origin": "https://app.example",
    vary: "Origin",
  });
  await expect(readEvents(sse(pusher), { origin: "https://evil.example" })).rejects.toThrow("403");
  stream.close();
});

test("a stream counts as a connection, has an address, and is gone when its reader is", async () => {
  await using pusher = await start({ PUSHER_MAX_CONNECTIONS: "1" });
  const stream = await readEvents(sse(pusher));

  await expect(readEvents(sse(pusher))).rejects.toThrow("503");
  stream.close();

  await until("it is gone", async () => (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 0);
  (await readEvents(sse(pusher))).close();
});

test("a reader that does not read costs at most its limit", async () => {
  await using pusher = await start({ PUSHER_MAX_UNSENT_BYTES: "262144" });
  const slow = await connectRaw(sse(pusher));
  slow.socket.write("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
  await until("the welcome", () => slow.received().includes("fanwire.welcome"));
  slow.socket.pause();

  await until("it is ended", async () => {
    await publishToEveryone(bus, "x".repeat(50_000));
    return (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 0;
  });

  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "unsent-bytes" })).toBe(1);
  slow.socket.destroy();
});

test("what a reader leaves unread is counted in bytes, not in characters", async () => {
  await using pusher = await start();
  const slow = await connectRaw(sse(pusher));
  slow.socket.write("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
  await until("the welcome", () => slow.received().includes("fanwire.welcome"));
  slow.socket.pause();
  const [, workerId = "", connectionId] = /"connection":"(\w+)\.(\d+)"/.exec(slow.received().toString()) ?? [];
  const question = Buffer.from(JSON.stringify({ command: "find-connection", connectionId: Number(connectionId) }));

  const unsentBytes = await until("something is unsent", async () => {
    await publishToEveryone(bus, "€".repeat(100_000));
    const reply = await bus.request(subjects.worker(workerId), question, { timeoutMs: 2_000 });
    const bytes: number = reply.ok ? JSON.parse(Buffer.from(reply.message.data).toString()).connection.unsentBytes : 0;
    return bytes > 0 && bytes;
  });

  expect(unsentBytes).toBeGreaterThanOrEqual(300_000);
  slow.socket.destroy();
});

test("before a worker stops it tells its readers to come back at a random time", async () => {
  await using pusher = await start();
  const streams = await Promise.all(Array.from({ length: 10 }, () => readEvents(sse(pusher))));

  const stopped = pusher.process.stop("SIGTERM");

  await until("all have ended", () => streams.every((stream) => stream.hasEnded()));
  const times = streams.map((stream) => Number(/retry: (\d+)\n\n$/.exec(stream.text())?.[1]));
  expect(times.every((ms) => ms > 0 && ms <= 5_000)).toBe(true);
  expect(new Set(times).size).toBeGreaterThan(1);
  expect(await stopped).toBe(0);
});
