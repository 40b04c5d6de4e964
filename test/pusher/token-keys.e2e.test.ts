import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type JWTPayload, SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { metric, startPusher, type TestPusher } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const INBOUND_BYTES = 65_536;
const PADDED_PING = `{"id":2,"command":"ping"}${" ".repeat(INBOUND_BYTES / 2)}`;

const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keySet = JSON.stringify({ keys: [pair.publicKey.export({ format: "jwk" })] });

const { nats } = useCluster();
let issuer: Server;
/** Requests for the keys, not answered yet. */
const asking: ServerResponse[] = [];
let pusher: TestPusher;
let token: string;

beforeAll(async () => {
  issuer = createServer((_, response) => void asking.push(response)).listen(0, "127.0.0.1");
  await once(issuer, "listening");
  token = await signed({ sub: "anna", topics: [">"] });
});
afterAll(() => {
  issuer.closeAllConnections();
  issuer.close();
});
beforeEach(async () => {
  asking.length = 0;
  const { port } = issuer.address() as AddressInfo; // a server that listens on TCP has an AddressInfo
  pusher = await startPusher({
    nats: nats.url,
    env: {
      PUSHER_WORKERS: "1",
      PUSHER_TOKEN_JWKS_URL: `http://127.0.0.1:${port}/keys`,
      PUSHER_MAX_INBOUND_BYTES: String(INBOUND_BYTES),
    },
  });
  await until("the keys are requested", () => asking.length > 0);
});
afterEach(() => pusher[Symbol.asyncDispose]());

function signed(claims: JWTPayload): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256" }).setExpirationTime("1h").sign(pair.privateKey);
}

/** Opens a WebSocket. The worker may not have verified its token yet. */
async function knock(protocol?: string) {
  const socket = new WebSocket(`${pusher.url}?token=${token}`, protocol, { perMessageDeflate: false });
  const received: string[] = [];
  let closedWith: number | undefined;
  socket.on("message", (data) => received.push(...String(data).split("\n")));
  socket.on("close", (code) => (closedWith = code));
  await once(socket, "open");
  return { socket, received, closedWith: () => closedWith };
}

test("a connection whose token waits for the keys receives nothing until it is verified", async () => {
  const raw = await knock();
  const client = await knock("fanwire.v1");
  const impatient = await knock("fanwire.v1");
  const talkative = await knock("fanwire.v1");

  client.socket.send('{"id":1,"command":"subscribe","topic":"a"}\n{"id":2,"command":"ping"}');
  client.socket.send('{"id":3,"command":"unsubscribe","topic":"a"}');
  impatient.socket.close();
  for (let at = 0; at < 3; at++) talkative.socket.send("x".repeat(INBOUND_BYTES / 2));
  await until(
    "the client that left and the client over the limit are closed",
    () => impatient.closedWith() && talkative.closedWith(),
  );
  expect(talkative.closedWith()).toBe(4429);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections")).toBe(0);
  expect([...raw.received, ...client.received]).toEqual([]);

  for (const response of asking) response.end(keySet);

  await until("both connections are accepted", () => raw.received.length === 2 && client.received.length === 4);
  expect(raw.received[0]).toMatch(/^workerID:/);
  const [welcome, ...replies] = client.received.map((text) => JSON.parse(text));
  expect(welcome).toMatchObject({ type: "welcome" });
  expect(replies.map(({ id, ok }) => [id, ok]).sort()).toEqual([1, 2, 3].map((id) => [id, true]));
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections")).toBe(2);
});

test("connections are asked to retry while the keys cannot be fetched", async () => {
  const client = await connectFanwire(pusher.url);
  for (const response of asking) response.writeHead(500).end();

  expect(await client.ask({ command: "refresh", token })).toMatchObject({ error: { code: "unavailable" } });
  await expect(connectFanwire(pusher.url, { token })).rejects.toThrow("closed with 4503");
  await expect(connectRawClient(`${pusher.url}?token=${token}`)).rejects.toThrow("closed with 4503");
  const stream = await readEvents(`${pusher.sseUrl}?token=${token}`);
  expect(stream.text()).toMatch(/^: tokens cannot be verified now, reconnect\nretry: \d{4}\n\n$/);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "token-keys" })).toBe(3);
});

test("commands after a refresh wait until its token is verified, up to the inbound limit", async () => {
  const client = await connectFanwire(pusher.url);
  const talkative = await connectFanwire(pusher.url);
  let replies = 0;
  client.socket.on("message", () => replies++);
  const allowed = await signed({ topics: ["a"] });

  const answers = client.askTogether([
    { command: "refresh", token: allowed },
    { command: "subscribe", topic: "a" },
    { command: "ping" },
  ]);
  const last = client.ask({ command: "unsubscribe", topic: "a" });
  talkative.socket.send(JSON.stringify({ id: 1, command: "refresh", token: allowed }));
  for (let at = 0; at < 3; at++) talkative.socket.send(PADDED_PING);
  await until("the client over the limit is closed", () => talkative.close);
  expect(talkative.close?.code).toBe(4503);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections_ended_total", { limit: "inbound-bytes" })).toBe(1);
  expect(replies).toBe(0);

  for (const response of asking) response.end(keySet);

  expect([...(await answers), await last].map(({ ok }) => ok)).toEqual([true, true, true, true]);
});
