import { parseSocketId } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import { publishToTopic } from "../support/bus.ts";
import { metric, startPusher } from "../support/cluster.ts";
import { callApi, postPublication } from "../support/http-api.ts";
import { demoApp, openPusherJs, pusherAppsEnv } from "../support/pusher-apps.ts";
import {
  connectPusher,
  connectPusherJs,
  openPusherSocket,
  pusherUrl,
  signer,
  subscribeJs,
} from "../support/pusher-client.ts";
import { connectSocket, HANDSHAKE } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const previous = { key: "demo-key-0000", secret: "demo-secret-0000" };
const { nats, bus, pusher, publisher } = useCluster({
  pusher: pusherAppsEnv({ ...demoApp, previousKeys: [previous], allowedOrigins: ["https://app.example"] }),
});

test.each([
  ["no protocol", "?client=js", 4008],
  ["no query", "", 4008],
  ["an old protocol", "?protocol=4", 4007],
  ["a future protocol", "?protocol=8", 4007],
  ["a malformed version", "?protocol=7&version=%00", 4006],
])("a connection with %s is upgraded, and closed with a code", async (_what, query, code) => {
  const refused = openPusherSocket(pusherUrl(pusher.url, demoApp.key, query));

  await until("the close", () => refused.close);
  expect(refused.close?.code).toBe(code);
  expect(refused.frames).toEqual([{ event: "pusher:error", data: { code, message: refused.close?.reason } }]);
});

test("pusher-js connects with a path in front", async () => {
  using client = await connectPusherJs(pusher.url, { wsPath: "/push" });

  const { events } = await subscribeJs(client, "prefixed");

  expect(events).toHaveLength(1);
});

test("pages of other origins are refused", async () => {
  const refused = openPusherSocket(pusherUrl(pusher.url), { Origin: "https://evil.example" });
  const accepted = openPusherSocket(pusherUrl(pusher.url), { Origin: "https://app.example" });

  await until("the close", () => refused.close);
  expect(refused.close?.code).toBe(4009);
  await accepted.next("pusher:connection_established");
});

test("pusher-js with an unknown key gives up", async () => {
  const client = openPusherJs(Number(new URL(pusher.url).port), {}, "no-such-key");
  const errors: unknown[] = [];
  client.connection.bind("error", (error: unknown) => errors.push(error));

  await until("it is disconnected", () => client.connection.state === "disconnected");

  expect(errors).toMatchObject([
    { type: "WebSocketError", error: { data: { code: 4001, message: "no app has this key" } } },
  ]);
});

test("a request that is no upgrade, or below the path of an app, is answered with what to do", async () => {
  expect((await fetch(pusherUrl(pusher.url).replace("ws:", "http:"))).status).toBe(426);
  const expected = { error: { code: "not_found", message: "connect to /app/<key>" } };

  for (const path of [`/app/${demoApp.key}/`, `/app/${demoApp.key}/x`, "/app/"]) {
    const raw = await connectSocket(pusher.url);
    raw.socket.write(`${HANDSHAKE.with(0, `GET ${path} HTTP/1.1`).join("\r\n")}\r\n\r\n`);
    await until("the answer", () => raw.isClosed());
    const [head, body = ""] = raw.received().toString().split("\r\n\r\n");
    expect(head).toContain("HTTP/1.1 404 Not Found");
    expect(JSON.parse(body), path).toEqual(expected);
    const polled = await fetch(new URL(path, pusher.url.replace("ws:", "http:")));
    expect([polled.status, await polled.json()], path).toEqual([404, expected]);
  }
});

test("an earlier key of the app connects and signs", async () => {
  const client = await connectPusher(pusher.url, { ...demoApp, ...previous });
  const current = await connectPusher(pusher.url);

  expect((await client.subscribe("private-a")).event).toBe("pusher_internal:subscription_succeeded");
  const { auth } = signer({ ...demoApp, ...previous }).authorizeChannel(current.socketId, "private-a");
  current.send({ event: "pusher:subscribe", data: { channel: "private-a", auth } });
  await current.next("pusher_internal:subscription_succeeded", "private-a");
});

test("the API shows the connection with its protocol and topics", async () => {
  const client = await connectPusher(pusher.url);
  await client.subscribe("shown");
  const { workerId, connectionId } = parseSocketId(client.socketId) ?? expect.fail("no socket id");
  const address = `${workerId}.${connectionId}`;

  const shown = await callApi(publisher, "GET", `/v1/connections/${address}`);

  expect(shown.body).toMatchObject({ address, protocol: "pusher", topics: ["shown"] });
  const publish = (content: object) => postPublication(publisher, { target: { connection: address }, ...content });
  expect((await publish({ data: "hello", event: "e" })).body).toMatchObject({ status: "delivered" });
  expect(await client.next("e")).toEqual({ event: "e", data: "hello" });
  const binary = await publish({ data: Buffer.from([0xff]).toString("base64"), encoding: "base64" });
  expect(binary).toMatchObject({ status: 422, body: { error: { code: "content_uncarried" } } });
  await callApi(publisher, "DELETE", `/v1/connections/${address}`);
  await until("the close", () => client.close);
  expect(client.close).toEqual({ code: 4009, reason: "closed by the application" });
});

test("content that the protocol cannot carry is not delivered, and counted", async () => {
  const client = await connectPusher(pusher.url);
  await client.subscribe("odd");
  const before = await metric(pusher.adminUrl, "fanwire_pusher_uncarried_total");

  await publishToTopic(bus, "odd", Buffer.from([0xff, 0xfe]));
  await publishToTopic(bus, "odd", "x", [["Event", "pusher:error"]]);
  await publishToTopic(bus, "odd", "x", [["Event", "pusher_internal:subscription_succeeded"]]);
  await publishToTopic(bus, "odd", "end");

  expect(await client.next("message")).toMatchObject({ data: "end" });
  expect(client.frames).toHaveLength(3);
  expect((await metric(pusher.adminUrl, "fanwire_pusher_uncarried_total")) - before).toBe(3);
});

test("a ping is answered, as an event and as a frame", async () => {
  const client = await connectPusher(pusher.url);
  let pongs = 0;
  client.socket.on("pong", () => pongs++);

  client.socket.ping();
  client.send({ event: "pusher:ping", data: {} });
  client.send('{"event":"pusher:ping"}');

  await until("the pong frame", () => pongs === 1);
  for (let n = 0; n < 2; n++) expect(await client.next("pusher:pong")).toEqual({ event: "pusher:pong", data: "{}" });
});

const ODD = [
  ...["", " ", "null", "1", "[]", '"x"', "{", "{}", '{"event":null}', '{"event":{}}', '{"event":""}', "\0", "ж"],
  ...[
    '{"event":"pusher:subscribe"}',
    '{"event":"pusher:subscribe","data":null}',
    '{"event":"pusher:subscribe","data":[]}',
  ],
  ...['{"event":"pusher:subscribe","data":{"channel":null}}', '{"event":"pusher:subscribe","data":{"channel":[1]}}'],
  ...['{"event":"pusher:subscribe","data":{"channel":{}}}', '{"event":"pusher:unsubscribe"}'],
  ...['{"event":"pusher:signin"}', '{"event":"pusher:unknown"}', '{"event":"pusher_internal:x"}', '{"event":"x"}'],
  ...["[".repeat(60_000), `{"event":"pusher:subscribe","data":${"[".repeat(20_000)}${"]".repeat(20_000)}}`],
  ...[`{"event":"client-a","channel":"private-a","data":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`],
  `{"event":"${"x".repeat(60_000)}"}`,
];

test("odd frames are answered with an error, and the connection stays", async () => {
  const client = await connectPusher(pusher.url);

  for (const [at, frame] of ODD.entries()) {
    client.send(frame);
    const { data } = await client.next("pusher:error");
    expect([at, data]).toEqual([at, { code: at === ODD.length - 2 ? 4301 : null, message: expect.any(String) }]);
  }
  client.socket.send(Buffer.from('{"event":"pusher:ping"}'), { binary: true });
  expect((await client.next("pusher:error")).data).toMatchObject({ message: "frames must be text" });
  client.send(JSON.stringify({ event: "pusher:subscribe", data: '{"channel":"text"}' }));
  await client.next("pusher_internal:subscription_succeeded", "text");

  await client.settle();
  expect(client.close).toBeUndefined();
});

test("limits close or refuse with codes after which a client reconnects", async () => {
  await using limited = await startPusher({
    nats: nats.url,
    env: {
      ...pusherAppsEnv(),
      PUSHER_WORKERS: "1",
      PUSHER_MAX_CONNECTIONS: "2",
      PUSHER_MAX_TOPICS: "3",
      PUSHER_MAX_INBOUND_PER_SECOND: "10",
      PUSHER_MAX_INBOUND_BYTES: "500",
    },
  });
  const client = await connectPusher(limited.url);
  const other = await connectPusher(limited.url);
  const refused = openPusherSocket(pusherUrl(limited.url));

  await until("the close", () => refused.close);
  expect(refused.close?.code).toBe(4100);
  for (const name of ["a", "b", "c"]) await client.subscribe(name);
  expect(await client.subscribe("d")).toMatchObject({
    event: "pusher:subscription_error",
    data: { type: "LimitReached" },
  });
  client.send("x".repeat(501));
  await until("the large frame ends the connection", () => client.close?.code === 1006);
  for (let n = 0; n < 30; n++) other.send({ event: "pusher:ping" });
  await until("too many frames end the connection", () => other.close);
  expect(other.close?.code).toBe(4100);
  expect(await metric(limited.adminUrl, "fanwire_pusher_connections_closed_total", { code: "4100" })).toBe(1);
  expect(await metric(limited.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "inbound-bytes" })).toBe(1);
});
