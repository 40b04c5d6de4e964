import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

const ENDPOINT_SECRET = "endpoint-secret-0001";

const refusing = await startWebhookReceiver();
const other = await startWebhookReceiver();
const own = await startWebhookReceiver();
const raw = await startRawReceiver();

const webhooks = [
  { url: refusing.url, prefix: "" },
  { url: other.url, prefix: "" },
  { url: raw.url, prefix: "case-" },
];
const env = {
  ...pusherAppsEnv({ ...demoApp, webhooks }),
  FANWIRE_EVENTS: "connection_opened,connection_closed,client_published",
  WEBHOOKS_ENDPOINTS: JSON.stringify([{ url: own.url, secret: ENDPOINT_SECRET }]),
};
const { nats, pusher, bus } = useCluster({ pusher: { ...env, PUSHER_TOKEN_SECRET: SECRET } });
const senders = useWebhookSenders(nats, env);

afterAll(async () => {
  for (const each of [refusing, other, own, raw]) await each[Symbol.asyncDispose]();
});

test("head-of-line blocking: a refused webhook is retried in order, and holds up neither another topic nor another endpoint", async () => {
  let refusals = 0;
  refusing.respond = ({ body }) => {
    if (!body.includes("refused") || refusals >= 3) return 200;
    refusals++;
    return 500;
  };
  const client = await connect(["refused"]);
  await until("it is refused", () => refusals > 0);
  await connect(["later"]);
  await until("the other topic is delivered", () => names(refusing, "later").length === 1);
  expect(names(refusing, "refused")).toEqual([]);
  await until("the other endpoint has both", () => names(other, "refused").length + names(other, "later").length === 2);

  client.socket.close();
  await until("both events are delivered", () => names(refusing, "refused").length === 2);
  expect(names(refusing, "refused")).toEqual(["channel_occupied", "channel_vacated"]);
  expect(refusals).toBe(3);
});

test("header names keep their case, and the content type is exact", async () => {
  await connect(["case-a"]);
  const { method, url, rawHeaders } = await until("a request", () => raw.requests[0]);

  expect([method, url]).toEqual(["POST", "/hook"]);
  const headers = rawHeaders.join("\n");
  expect(headers).toContain(`X-Pusher-Key\n${demoApp.key}\n`);
  expect(headers).toContain("Content-Type\napplication/json\n");
  expect(headers).toMatch(/X-Pusher-Signature\n[0-9a-f]{64}\n/);
});

test("an endpoint of Fanwire's format and NATS subscribers receive events of all kinds with one id", async () => {
  const seen: Record<string, unknown>[] = [];
  bus.subscribe("fanwire.events.>", ({ data }) => seen.push(JSON.parse(Buffer.from(data).toString())));
  await bus.confirm();
  const client = await connect(["chat"]);
  const connection = client.welcome.connection;
  await client.ask({ command: "publish", topic: "chat", event: "note", data: "hello" });
  client.socket.close();

  const ofConnection = () => own.events().filter((event) => event.connection === connection);
  await until("three events", () => ofConnection().length === 3);
  const named = (name: string) => ofConnection().find((event) => event.name === name);
  const published = { topic: "chat", event: "note", data: "hello", user: "anna" };
  expect(named("client_published")).toMatchObject(published);
  expect(named("connection_opened")).toMatchObject({ user: "anna", protocol: "fanwire.v1" });
  expect(named("connection_closed")).toMatchObject({ user: "anna", code: 1005 });
  await until("the topic is vacated", () =>
    own.events().some(({ name, topic }) => name === "topic_vacated" && topic === "chat"),
  );
  const ids = own.events().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const mine = seen.filter((event) => event.connection === connection || event.topic === "chat");
  expect(mine.map(({ id }) => id).every((id) => ids.includes(id))).toBe(true);
  expect(mine).toHaveLength(5);
});

test("metrics count deliveries by endpoint and outcome", async () => {
  const { adminUrl } = await senders.leader();
  const count = (labels: Record<string, string>) => metric(adminUrl, "fanwire_webhooks_deliveries_total", labels);

  expect(await count({ endpoint: "app-1001-1", outcome: "failed" })).toBe(3);
  expect(await count({ endpoint: "app-1001-2", outcome: "delivered" })).toBeGreaterThan(3);
  await until("nothing waits", async () => (await metric(adminUrl, "fanwire_webhooks_waiting_events")) === 0);
  expect(await metric(adminUrl, "fanwire_webhooks_oldest_waiting_seconds")).toBe(0);
});

async function connect(topics: string[]) {
  const token = await signToken({ sub: "anna", topics: [">"], publish: [">"] });
  return connectFanwire(pusher.url, { token, topic: topics });
}

function names(receiver: typeof own, channel: string): unknown[] {
  return receiver
    .events()
    .filter((event) => event.channel === channel)
    .map(({ name }) => name);
}

/** Starts a server that keeps requests as they are, with the names of headers in their case. */
async function startRawReceiver() {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, // a TCP server has an AddressInfo
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
