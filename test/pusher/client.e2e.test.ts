import { setTimeout as delay } from "node:timers/promises";
import { type ClientState, connect, type Publication } from "@fanwire/client";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { askWorker, describeWorkers, publishToEveryone, publishToTopic } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { startLink } from "../support/link.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_TOKEN_LEEWAY_SECONDS: "0", PUSHER_WORKERS: "1" };
const {
  nats,
  bus,
  history,
  pushers: [open, guarded],
} = useCluster({ pusher: [{}, env] });

const clients: { close(): void }[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function start(url: string, options: Partial<Parameters<typeof connect>[0]> = {}) {
  const publications: Publication[] = [];
  const states: ClientState[] = [];
  const client = connect({
    url,
    WebSocket,
    onPublication: (publication) => publications.push(publication),
    onState: (state) => states.push(state),
    ...options,
  });
  clients.push(client);
  const untilOpen = () => until("the client is open", () => client.state === "open");
  return { client, publications, states, untilOpen, data: () => publications.map(({ data }) => data) };
}

const token = (claims: Record<string, unknown>, expiresInSeconds: number) => signToken(claims, { expiresInSeconds });

/** Returns the worker that a client is connected to. */
async function workerOf(client: { readonly address: string | undefined }): Promise<{ id: string; pid: number }> {
  const [id] = client.address?.split(".") ?? [];
  const worker = (await describeWorkers(bus)).find((each) => each.id === id);
  if (worker === undefined) throw new Error(`no worker has ${client.address}`);
  return worker;
}

test("the client receives its topics and publications to everyone, and bytes as bytes", async () => {
  const { client, publications, untilOpen, states } = start(open.url, { topics: ["orders.*"] });
  await untilOpen();
  expect(await client.subscribe("news")).toMatchObject({ recovered: null });
  await client.subscribe("unsubscribed");
  await client.unsubscribe("unsubscribed");

  await publishToTopic(bus, "orders.7", "one", [["Event", "paid"]]);
  await publishToTopic(bus, "unsubscribed", "not received");
  await publishToTopic(bus, "news", Uint8Array.of(255, 0, 254));
  await publishToEveryone(bus, "three\n");

  await until("all publications arrive", () => publications.length === 3);
  expect(publications).toMatchObject([
    { topic: "orders.7", subscription: "orders.*", event: "paid", data: "one" },
    { topic: "news", subscription: undefined, event: "message", data: Uint8Array.of(255, 0, 254) },
    { topic: undefined, data: "three\n" },
  ]);
  expect(states.map(({ state }) => state)).toEqual(["connecting", "open"]);
  await expect(client.publish("news", "x")).rejects.toMatchObject({ code: "forbidden" });
  await expect(client.subscribe("a.>.b")).rejects.toMatchObject({ code: "invalid" });
});

test("the client subscribes to more topics than fit into a URL", async () => {
  const topics = Array.from({ length: 128 }, (_, at) => `${"long-name.".repeat(20)}${at}`);
  const { client, data, untilOpen } = start(open.url, { topics });
  await untilOpen();

  for (const topic of topics) await publishToTopic(bus, topic, topic);
  await until("all publications arrive", () => data().length === topics.length);
  expect(data()).toEqual(topics);
  await expect(client.subscribe("one-more")).rejects.toMatchObject({ code: "topic-limit" });
});

test("the client reconnects and subscribes to its topics again when its worker is killed", async () => {
  const { client, data, untilOpen, states } = start(open.url, { topics: ["a"] });
  await untilOpen();
  await client.subscribe("b.>");
  const before = client.address;

  process.kill((await workerOf(client)).pid, "SIGKILL");
  await until("the client detects the loss", () => client.address === undefined);
  await expect(client.publish("a", "x")).rejects.toMatchObject({ code: "disconnected" });
  await client.subscribe("c");
  await untilOpen();

  expect(client.address).not.toBe(before);
  expect(states.find(({ state }) => state === "waiting")).toMatchObject({ code: 1006 });
  for (const topic of ["a", "b.1", "c"]) await publishToTopic(bus, topic, topic);
  await until("all publications arrive", () => data().length === 3);
  expect(data()).toEqual(["a", "b.1", "c"]);
});

test("the client resumes on another pusher, and overlapping subscriptions receive each publication once", async () => {
  const first = await startPusher({ nats: nats.url });
  const { client, publications, untilOpen, states } = start(first.url, { topics: ["both.*", "both.a"] });
  await untilOpen();
  for (const content of ["1", "2"]) await history.append(topic("both.a"), content);
  await until("both copies arrive", () => publications.length === 4);

  await first.process.stop("SIGKILL");
  await history.append(topic("both.a"), "3");
  await using _ = await startPusher({ nats: nats.url, env: { PUSHER_PORT: new URL(first.url).port } });
  await until("the client is connected again", () => states.filter(({ state }) => state === "open").length === 2);
  await history.append(topic("both.a"), "4");
  await until("all publications arrive", () => publications.length >= 8);

  for (const pattern of ["both.*", undefined]) {
    const copies = publications.filter(({ subscription }) => subscription === pattern);
    expect(copies.map(({ data }) => data)).toEqual(["1", "2", "3", "4"]);
  }
  expect(client.position).toBe(publications.at(-1)?.position);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });
});

test("a replay that breaks continues where it was, also if the application subscribed the client meanwhile", async () => {
  await using link = await startLink(Number(new URL(open.url).port));
  const since = await history.append(topic("long.a"), "before");
  const contents = Array.from({ length: 900 }, (_, at) => String(at).padEnd(20_000, "."));
  for (const content of contents) await history.append(topic("long.a"), content);
  const received: string[] = [];
  let receivedBefore = 0;
  const { client, states } = start(`ws://127.0.0.1:${link.port}/`, {
    topics: ["long.a"],
    since,
    onPublication: ({ topic, data }) => {
      if (topic === "long.a") received.push(String(data));
      if (received.length === 1) link.set("stall");
      if (topic !== "long.t") return;
      receivedBefore = received.length;
      link.cut();
    },
  });
  await until("the replay has begun", () => received.length > 0);

  const [, connectionId] = client.address?.split(".") ?? [];
  const subscribed = { command: "subscribe" as const, connectionId: Number(connectionId), topic: "long.t" };
  await askWorker(bus, (await workerOf(client)).id, subscribed);
  // The first ones may be stored before the subscription begins.
  for (let at = 0; at < 10; at++) await delay(20).then(() => history.append(topic("long.t"), "t"));
  link.set("pass");
  await until("the connection breaks", () => receivedBefore > 0);
  link.heal();
  await until("all publications arrive", () => received.length >= contents.length);

  expect(receivedBefore).toBeLessThan(contents.length);
  expect(received).toEqual(contents);
  expect(states.at(-1)).toMatchObject({ state: "open", recovered: true });
});

test("subscribe with since restarts a topic that is subscribed already", async () => {
  const { client, data, untilOpen } = start(open.url, { topics: ["again.a", "again.*"] });
  await untilOpen();
  const since = client.position ?? "";
  for (const content of ["1", "2"]) await history.append(topic("again.a"), content);
  await until("both copies arrive", () => data().length === 4);

  expect(await client.subscribe("again.a", { since })).toEqual({ recovered: true });
  await until("the publications arrive again", () => data().length === 6);
  await history.append(topic("again.a"), "3");
  await until("both copies arrive", () => data().length === 8);

  expect(data().slice(4, 6)).toEqual(["1", "2"]);
  expect(data().slice(6)).toEqual(["3", "3"]);
});

test("the client paces a burst of publications below the inbound limit", async () => {
  const ask = () => token({ sub: "anna", topics: [">"], publish: [">"] }, 3_600);
  const { client, data, states, untilOpen } = start(guarded.url, { token: ask, topics: ["burst"] });
  await untilOpen();

  await Promise.all(Array.from({ length: 150 }, (_, at) => client.publish("burst", String(at))));
  await until("all publications arrive", () => data().length === 150);

  expect(data()).toEqual(Array.from({ length: 150 }, (_, at) => String(at)));
  expect(states.map(({ state }) => state)).toEqual(["connecting", "open"]);
});

test("the client refreshes its token before it expires, and stays connected", async () => {
  let asked = 0;
  const ask = () => {
    asked++;
    return token({ sub: "anna", topics: ["orders.>"], publish: ["orders.*"] }, 4);
  };
  const { client, data, states, untilOpen } = start(guarded.url, { token: ask, topics: ["orders.>"] });
  await untilOpen();
  const { address } = client;

  // The client asks after four fifths of a lifetime, so the third time the first token has expired.
  await until("the lifetime of the first token has passed", () => asked >= 3);
  await client.publish("orders.7", "still here", { event: "said" });
  await until("the publication arrives", () => data().length === 1);

  expect(client.address).toBe(address);
  expect(states.map(({ state }) => state)).toEqual(["connecting", "open"]);
});

test("a topic that the token does not allow is refused alone, also in the query of a connection", async () => {
  await using link = await startLink(Number(new URL(guarded.url).port));
  const refused: string[] = [];
  let topics = ["own.>"];
  const { client, data, states, untilOpen } = start(`ws://127.0.0.1:${link.port}/`, {
    // The client uses a token with such a lifetime for one connection only.
    token: () => token({ sub: "dora", topics }, 9),
    topics: ["own.a"],
    onRefused: (name, { code }) => refused.push(`${name}: ${code}`),
  });
  const allowed = client.subscribe("own.b");
  await expect(client.subscribe("secret")).rejects.toMatchObject({ code: "forbidden" });
  await allowed;
  await untilOpen();
  expect(states.find(({ state }) => state === "waiting")).toMatchObject({ code: 4403 });

  topics = ["own.b"];
  link.cut();
  await until("the connection is lost", () => client.state !== "open");
  link.heal();
  await untilOpen();

  expect(refused).toEqual(["secret: forbidden", "own.a: forbidden"]);
  await publishToTopic(bus, "own.b", "received");
  await until("the publication arrives", () => data().includes("received"));
});

test("the client sends a token of 12 KiB as its first command, and resumes its topics and its user", async () => {
  const claims = { sub: "anna", topics: ["orders.>"], roles: "r".repeat(12_288) };
  const ask = () => token(claims, 60);
  const first = start(guarded.url, { token: ask, topics: ["orders.7"] });
  await first.untilOpen();
  const since = await history.append(topic("orders.7"), "one");
  await until("the publication arrives", () => first.data().includes("one"));
  expect(first.client.position).toBe(since);
  first.client.close();
  await history.append(topic("orders.7"), "two");
  await history.append({ kind: "user", user: "anna" }, "three");

  const second = start(guarded.url, { token: ask, topics: ["orders.7"], since });
  await until("both publications arrive", () => second.data().length === 2);

  expect(second.data().sort()).toEqual(["three", "two"]);
  await second.untilOpen();
  expect(second.states.at(-1)).toMatchObject({ state: "open", recovered: true });
  const forbidden = start(guarded.url, { token: ask, topics: ["other"] });
  await forbidden.untilOpen();
  await expect(forbidden.client.subscribe("secret")).rejects.toMatchObject({ code: "forbidden" });
});
