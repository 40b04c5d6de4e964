import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { publishToEveryone } from "../support/bus.ts";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectRawClient, connectRawClients, type RawClient } from "../support/raw-client.ts";
import { clientFrame, connectSocket, HANDSHAKE, handshakeSocket } from "../support/raw-socket.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();

function startLimited(env: Record<string, string>): Promise<TestPusher> {
  return startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1", ...env } });
}

/** Returns status and headers of a refused handshake. */
function refusal(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers });
    socket.on("error", () => {});
    socket.on("open", () => reject(new Error("was accepted")));
    socket.on("unexpected-response", (_, response) => {
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"] });
      response.destroy();
    });
  });
}

test("a full worker refuses connections with 503 until another one closes", async () => {
  await using pusher = await startLimited({ PUSHER_MAX_CONNECTIONS: "3" });
  const clients = await connectRawClients(pusher.url, 3);

  expect(await refusal(pusher.url)).toEqual({ status: 503, retryAfter: "1" });
  expect(
    await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "connection-limit" }),
  ).toBe(1);

  clients[0]?.socket.close(1000);
  await until(
    "the connection is closed",
    async () => (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 2,
  );
  await connectRawClient(pusher.url);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_closed_total", { code: "1000" })).toBe(1);
});

test("handshakes over the rate limit are refused with 503", async () => {
  await using pusher = await startLimited({ PUSHER_HANDSHAKES_PER_SECOND: "5" });

  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => connectRawClient(pusher.url)));

  const accepted = outcomes.filter(({ status }) => status === "fulfilled").length;
  expect(accepted).toBeGreaterThanOrEqual(5);
  const refused = await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", {
    reason: "handshake-rate",
  });
  expect(refused).toBe(20 - accepted);
  expect(refused).toBeGreaterThan(0);
  await until("a new connection is accepted", () => connectRawClient(pusher.url).catch(() => false));
});

test("a foreign origin is refused, allowed origins and clients without an origin are not", async () => {
  await using pusher = await startLimited({ PUSHER_ALLOWED_ORIGINS: "https://app.example, https://*.app.example" });

  const origin = "https://evil.example";
  expect((await refusal(pusher.url, { origin })).status).toBe(403);
  await expect(readEvents(pusher.sseUrl, { origin })).rejects.toThrow("403");
  await connectRawClient(pusher.url, { origin: "https://app.example" });
  await connectRawClient(pusher.url, { origin: "https://eu.app.example" });
  await connectRawClient(pusher.url);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "origin" })).toBe(2);
});

test("a message over the inbound limit closes its connection only", async () => {
  await using pusher = await startLimited({ PUSHER_MAX_INBOUND_BYTES: "1000" });
  const [loud, other] = await connectRawClients(pusher.url, 2);

  loud?.socket.send(Buffer.alloc(1_000));
  loud?.socket.send(Buffer.alloc(1_001));

  await until("the connection is closed", () => loud?.close);
  expect(loud?.close?.code).toBe(1006);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "inbound-bytes" })).toBe(1);
  await heardBy(other);
});

test.each([
  ["messages", 0x1],
  ["pings", 0x9],
])("a client that sends %s over the inbound rate is closed with 4429", async (_, opcode) => {
  await using pusher = await startLimited({ PUSHER_MAX_INBOUND_PER_SECOND: "10" });
  const chatty = await handshakeSocket(pusher.url);
  const other = await connectRawClient(pusher.url);

  chatty.socket.write(Buffer.concat(Array(30).fill(clientFrame(opcode, Buffer.from("x")))));

  await until("the connection is closed", () => chatty.isClosed());
  expect(chatty.received().toString("latin1")).toMatch(/too many inbound messages$/);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_closed_total", { code: "4429" })).toBe(1);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "inbound-rate" })).toBe(1);
  await heardBy(other);
});

test.each([
  ["raw", HANDSHAKE, "подключено"],
  ["fanwire.v1", [...HANDSHAKE, "Sec-WebSocket-Protocol: fanwire.v1"], '"welcome"'],
  ["sse", ["GET /sse HTTP/1.1", "Host: x"], "fanwire.welcome"],
])(
  "a slow consumer is closed at its limit of unsent bytes, and others receive everything: %s",
  async (_, handshake, greeting) => {
    await using pusher = await startLimited({ PUSHER_MAX_UNSENT_BYTES: "262144" });
    const slow = await connectSocket(pusher.url);
    slow.socket.write(`${handshake.join("\r\n")}\r\n\r\n`);
    await until("the greeting", () => slow.received().includes(greeting));
    slow.socket.pause();
    const reader = await connectRawClient(pusher.url);
    const content = "x".repeat(50_000);

    let published = 0;
    await until("the slow consumer is closed", async () => {
      for (let count = 0; count < 5; count++) await publishToEveryone(bus, content);
      published += 5;
      return (await metric(pusher.adminUrl, "fanwire_pusher_connections")) === 1;
    });

    expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "unsent-bytes" })).toBe(1);
    expect(await metric(pusher.adminUrl, "fanwire_pusher_drops_total")).toBeGreaterThan(0);
    await until("the reader has everything", () => reader.frames.length === published);
    expect(reader.close).toBeUndefined();
  },
);

test("heartbeat: an idle connection that answers no pings is closed", async () => {
  await using pusher = await startLimited({ PUSHER_IDLE_SECONDS: "8" });
  const silent = await handshakeSocket(pusher.url); // answers no pings
  const alive = await connectRawClient(pusher.url);

  await until("the idle connection is closed", () => silent.isClosed(), 40_000);

  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "idle" })).toBe(1);
  expect(alive.close).toBeUndefined();
});

async function heardBy(client: RawClient | undefined): Promise<void> {
  await publishToEveryone(bus, "still here");
  await until("the other client receives the publication", () => client?.frames.includes("still here"));
}
