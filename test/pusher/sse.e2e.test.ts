import { afterAll, beforeAll, expect, test } from "vitest";
import { askWorker, publishToEveryone, publishToTopic } from "../support/bus.ts";
import { metric, readiness, startPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { type EventStream, readEvents } from "../support/event-stream.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { connectSocket, writeSegment } from "../support/raw-socket.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus, history, pusher } = useCluster({
  pusher: { PUSHER_WORKERS: "1", PUSHER_ALLOWED_ORIGINS: "https://app.example" },
});

/** Starts another pusher, for a test that needs other settings or ends it. */
const start = (env: Record<string, string> = {}) =>
  startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1", ...env } });

// Opened before the other tests, because the third comment comes after more than ten seconds.
let idleStream: EventStream;
beforeAll(async () => {
  idleStream = await readEvents(pusher.sseUrl);
});
afterAll(() => idleStream.close());

test("a stream begins with a welcome and has events as an EventSource reads them", async () => {
  const stream = await readEvents(`${pusher.sseUrl}?topic=a`);

  await publishToTopic(bus, "a", "one\ntwo\r\nthree", [["Event", "paid"]]);
  await publishToTopic(bus, "a", Buffer.from([0xff]));

  await until("both publications arrive", () => stream.events().length === 3);
  const [welcome, ...events] = stream.events();
  expect(stream.response.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    connection: "close",
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
});

test("a stream counts as a connection until its reader disconnects, and a further one has to retry later", async () => {
  await using full = await start({ PUSHER_MAX_CONNECTIONS: "1" });
  const stream = await readEvents(full.sseUrl);

  const refused = await readEvents(full.sseUrl);
  await until("the refused stream has ended", () => refused.hasEnded());
  // A browser would not reconnect after another status than 200.
  expect(refused.text()).toMatch(/^: this worker is full: try again\nretry: [1-4]\d{3}\n\n$/);
  expect(refused.response.headers).toMatchObject({
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    connection: "close",
  });
  stream.close();

  await until(
    "the connection is closed",
    async () => (await metric(full.adminUrl, "fanwire_pusher_connections")) === 0,
  );
  (await readEvents(full.sseUrl)).close();
});

test("a reader that is slower than its replay receives all of it, at its own speed", async () => {
  await using strict = await start({ PUSHER_MAX_UNSENT_BYTES: "262144" });
  const since = await history.append(topic("slow"), "0");
  const contents = Array.from({ length: 200 }, (_, at) => `${at} ${"x".repeat(50_000)}`);
  for (const content of contents) await history.append(topic("slow"), content);

  const stream = await readEvents(`${strict.sseUrl}?topic=slow&since=${since}`);
  let length = stream.text().length;
  stream.response.on("data", (chunk: string) => {
    length += chunk.length;
    stream.response.pause();
    setTimeout(() => stream.response.resume(), 1);
  });

  await until("the replay has arrived", () => stream.hasEnded() || length > contents.join("").length, 20_000);
  await until("the last publication", () => stream.hasEnded() || stream.text().includes(contents.at(-1) ?? ""));
  expect(stream.data()).toEqual(contents);
});

test("a reader that has not read its last stream gets no other one on the same TCP connection", async () => {
  await using own = await start();
  const raw = await connectSocket(own.sseUrl);
  const open = () => raw.socket.write("GET /sse HTTP/1.1\r\nHost: x\r\n\r\n");
  open();
  await until("the welcome", () => raw.received().includes("fanwire.welcome"));
  raw.socket.pause();
  const [, workerId = "", id] = /"connection":"(\w+)\.(\d+)"/.exec(raw.received().toString()) ?? [];
  const control = (command: "find-connection" | "close-connection") =>
    askWorker(bus, workerId, { command, connectionId: Number(id) });
  await until("some bytes are unsent", async () => {
    await publishToEveryone(bus, "x".repeat(300_000));
    const { connection } = (await control("find-connection")) as { connection: { unsentBytes: number } };
    return connection.unsentBytes > 0;
  });
  await control("close-connection");

  open();

  await until("it is dropped", async () => (await metric(own.adminUrl, "fanwire_pusher_drops_total")) === 1);
  expect(await metric(own.adminUrl, "fanwire_pusher_connections")).toBe(0);
  raw.socket.resume();
  await until("the connection is closed", () => raw.isClosed());
  expect(raw.received().toString().split("fanwire.welcome")).toHaveLength(2);
});

test("jitter: a stream begins and ends with a random retry of 1 to 5 seconds, so that readers do not reconnect at the same time", async () => {
  await using stopping = await start();
  const streams = await Promise.all(Array.from({ length: 10 }, () => readEvents(stopping.sseUrl)));

  const stopped = stopping.process.stop("SIGTERM");

  await until("all streams have ended", () => streams.every((stream) => stream.hasEnded()));
  for (const pattern of [/^retry: (\d+)\n\n/, /\nretry: (\d+)\n\n$/]) {
    const times = streams.map((stream) => Number(pattern.exec(stream.text())?.[1]));
    expect(times.every((ms) => ms >= 1_000 && ms < 5_000)).toBe(true);
    expect(new Set(times).size).toBeGreaterThan(1);
  }
  expect(await stopped).toBe(0);
});

test("a draining worker answers a stream on a connection that it accepted before with a retry", async () => {
  await using draining = await start({ PUSHER_DRAIN_SECONDS: "30" });
  // These streams keep the drain going.
  await Promise.all(Array.from({ length: 20 }, () => readEvents(draining.sseUrl)));
  const early = await connectSocket(draining.sseUrl);
  await writeSegment(early, Buffer.from("GET /sse HTTP/1.1\r\nHost: x\r\n"));

  draining.process.kill("SIGTERM");
  await until("the pusher drains", async () => (await readiness(draining.adminUrl)).text === "draining");
  early.socket.write("Origin: https://app.example\r\n\r\n");

  await until("the connection is closed", () => early.isClosed());
  const answer = early.received().toString();
  expect(answer).toContain("HTTP/1.1 200 OK\r\n");
  expect(answer).toContain("Connection: close\r\n");
  expect(answer).toContain("Access-Control-Allow-Origin: https://app.example\r\n");
  expect(answer).toMatch(/: this worker is stopping: try again\nretry: [1-4]\d{3}\n\n$/);
});

test("a final refusal is a status with an error in JSON, with CORS headers", async () => {
  await using guarded = await start({ PUSHER_TOKEN_SECRET: SECRET });

  for (const [query, status, code, message] of [
    ["topic[]=a", 400, "malformed_query", "no such parameter: write topic=… once for each topic"],
    ["token=garbage", 401, "unauthorized", expect.any(String)],
    ["topic=secret", 403, "topic_forbidden", expect.any(String)],
  ] as const) {
    const response = await fetch(`${guarded.sseUrl}?${query}`, { headers: { origin: "https://app.example" } });
    expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([
      status,
      "https://app.example",
    ]);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toEqual({ error: { code, message } });
  }
});

test("other methods than GET are refused with 405, and GET still upgrades WebSockets", async () => {
  for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
    const response = await fetch(pusher.sseUrl, { method, headers: { origin: "https://app.example" } });
    expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "GET, OPTIONS"]);
    if (method === "HEAD") continue;
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(await response.json()).toEqual({ error: { code: "method_not_allowed", message: "read /sse with GET" } });
  }
  (await connectRawClient(`${pusher.url}sse`)).socket.close();
});

test("a CORS preflight is answered for allowed origins only", async () => {
  const preflight = (origin: string) =>
    fetch(pusher.sseUrl, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,last-event-id",
      },
    });

  const allowed = await preflight("https://app.example");
  const refused = await preflight("https://evil.example");

  expect([allowed.status, await allowed.text()]).toEqual([200, ""]);
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    "content-length": "0",
    "access-control-allow-origin": "https://app.example",
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "Authorization, Cache-Control, Last-Event-ID, *",
    vary: "Origin",
  });
  expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([403, null]);
});

test.each([
  ["a preflight", "OPTIONS /sse", 200],
  ["a preflight of a foreign origin", "OPTIONS /sse", 403, "Origin: https://evil.example\r\n"],
  ["another method", "DELETE /sse", 405],
  ["HEAD", "HEAD /sse", 405],
  ["a malformed query", "GET /sse?topic=", 400],
  ["no upgrade", "GET /", 426],
  ["HEAD of another path", "HEAD /", 426],
  ["a path of another protocol", "GET /socket.io/", 404],
])("every answer closes its connection, so that answers nobody reads do not fill memory: %s", async (_, ...asked) => {
  const [line, status, header = ""] = asked;
  const raw = await connectSocket(pusher.sseUrl);
  const ask = () => raw.socket.write(`${line} HTTP/1.1\r\nHost: x\r\n${header}\r\n`);
  ask();
  await until("the answer", () => raw.received().length > 0);
  ask();

  await until("the connection is closed", () => raw.isClosed());
  const answers = raw.received().toString();
  expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual([`HTTP/1.1 ${status}`]);
  if (String(line).startsWith("HEAD")) expect(answers).toMatch(/\r\n\r\n$/);
});

test("a polyfill resumes by ?lastEventId=, unless there is a Last-Event-ID header", async () => {
  const first = await history.append(topic("resumed"), "1");
  const second = await history.append(topic("resumed"), "2");
  await history.append(topic("resumed"), "3");
  const dataAfter = async (query: string, headers?: Record<string, string>) => {
    const stream = await readEvents(`${pusher.sseUrl}?topic=resumed${query}`, headers);
    await until("all publications arrive", () => stream.events().at(-1)?.data === "3");
    stream.close();
    return stream.data();
  };

  expect(await dataAfter(`&lastEventId=${first}`)).toEqual(["2", "3"]);
  expect(await dataAfter(`&since=${first}&lastEventId=${second}`)).toEqual(["3"]);
  expect(await dataAfter(`&since=${first}&lastEventId=`)).toEqual(["2", "3"]);
  expect(await dataAfter(`&lastEventId=${first}`, { "Last-Event-ID": second })).toEqual(["3"]);
});

test("heartbeat: a stream without publications is kept alive by comments", async () => {
  await until("the third comment", () => (idleStream.text().match(/^: $/gm)?.length ?? 0) >= 3, 40_000);

  expect(idleStream.hasEnded()).toBe(false);
});
