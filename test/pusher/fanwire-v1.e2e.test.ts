import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectSocket, HANDSHAKE } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_MAX_INBOUND_PER_SECOND: "50" } });

test("a welcome has the address of the connection, which receives publications to everyone and to itself", async () => {
  const client = await connectFanwire(pusher.url);
  const [workerId = "", connectionId] = client.welcome.connection.split(".");

  await publishToEveryone(bus, "line 1\nline 2");
  const own = subjects.live({ kind: "connection", connection: { workerId, connectionId: Number(connectionId) } });
  const reply = await bus.request(own, Buffer.from([0xff, 0]), {
    timeoutMs: 2_000,
    headers: [
      ["Event", "bytes"],
      ["Id", "7"],
    ],
  });

  expect(reply.ok && Buffer.from(reply.message.data).toString()).toBe('{"outcome":"delivered"}');
  await until("both publications arrive", () => client.publications.length === 2);
  expect(client.welcome).toMatchObject({ type: "welcome", recovered: null });
  expect(client.publications).toEqual([
    { type: "publication", event: "message", data: "line 1\nline 2" },
    { type: "publication", event: "bytes", id: "7", data: "/wA=", encoding: "base64" },
  ]);
});

test("each command of a frame is answered by its id", async () => {
  const client = await connectFanwire(pusher.url);

  const replies = await client.askTogether([
    { command: "subscribe", topic: "t" },
    { command: "subscribe", topic: "t" },
    { command: "ping" },
    { command: "unsubscribe", topic: "t" },
    { command: "unsubscribe", topic: "t" },
    { command: "dance" },
    { command: "subscribe", topic: "" },
  ]);

  expect(replies.map(({ ok }) => ok)).toEqual([true, true, true, true, true, false, false]);
});

test.each([
  ["text that is no JSON", "x"],
  ["a line that is no command", '{"id":1,"command":"ping"}\nx'],
  ["another space than that of ASCII", "\u00a0"],
  ["a binary frame", Buffer.from('{"id":1,"command":"ping"}')],
])("a malformed frame closes the connection with 4400: %s", async (_, frame) => {
  const client = await connectFanwire(pusher.url);

  client.socket.send(frame);

  await until("the connection is closed", () => client.close);
  expect(client.close).toEqual({ code: 4400, reason: "malformed message" });
});

test("a malformed query is refused with 4400 and a reason, and not counted as a connection", async () => {
  const accepted = await metric(pusher.adminUrl, "fanwire_pusher_connections_accepted_total");

  const socket = new WebSocket(`${pusher.url}?topic=a.>.b`, "fanwire.v1");
  const close = await new Promise((resolve) =>
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  );

  expect(close).toEqual({ code: 4400, reason: "topic must be a topic or a pattern of 1 to 255 bytes" });
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_accepted_total")).toBe(accepted);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "malformed" })).toBe(1);
});

test.each([
  ["the messages of a frame", [Array.from({ length: 200 }, (_, id) => `{"id":${id},"command":"ping"}`).join("\n")]],
  ["empty frames", Array(100).fill("")],
])("%s count against the inbound rate", async (_, frames) => {
  const client = await connectFanwire(pusher.url);

  for (const frame of frames) client.socket.send(frame);

  await until("the connection is closed", () => client.close);
  expect(client.close?.code).toBe(4429);
});

test("blank lines, trailing newlines, empty frames and a byte order mark are no commands", async () => {
  const client = await connectFanwire(pusher.url);

  for (const text of [
    "",
    "\n",
    "\uFEFF",
    " \t\r\n\n",
    '\r\n{"id":"a","command":"ping"}\r\n\n{"id":"b","command":"ping"}\n',
    '\uFEFF{"id":"c","command":"ping"}',
  ]) {
    client.socket.send(text);
  }

  expect(await client.ask({ command: "ping" })).toMatchObject({ ok: true });
  expect(client.replies().map(({ id }) => id)).toEqual(["a", "b", "c", 1]);
  expect(client.close).toBeUndefined();
});

test("replies have the ids of their commands unchanged, also numbers that no double can hold", async () => {
  const client = await connectFanwire(pusher.url);
  const frames: string[] = [];
  client.socket.on("message", (data) => frames.push(...String(data).split("\n")));
  const ids = ["9007199254740993", "-18446744073709551615", "1.0", '"9007199254740993"'];

  client.socket.send(ids.map((id) => `{"id":${id},"command":"ping"}`).join("\n"));

  await until("all commands are answered", () => frames.length === ids.length);
  expect(frames.map((frame) => /^\{"type":"reply","id":(.*?),"ok":true[,}]/.exec(frame)?.[1])).toEqual(ids);
});

test("a query that is not UTF-8 is refused, and unusual topics are accepted", async () => {
  const raw = await connectSocket(pusher.url);
  raw.socket.write(Buffer.from(`${HANDSHAKE.with(0, "GET /?topic=\xff HTTP/1.1").join("\r\n")}\r\n\r\n`, "latin1"));
  await until("the connection is closed", () => raw.received().includes("the query is not UTF-8"));

  const odd = [".", "..", "%", "100%", "\uFFFD", "a b", "+"];
  const client = await connectFanwire(pusher.url, { topic: odd });
  for (const topic of odd) await publishToTopic(bus, topic, topic);
  await until("all publications arrive", () => client.publications.length === odd.length);
  expect(client.data()).toEqual(odd);
});
