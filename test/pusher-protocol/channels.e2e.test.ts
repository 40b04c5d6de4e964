import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { askWorker, publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, openPusherSocket, pusherUrl, subscribeJs } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  bus,
  history,
  pushers: [one, two],
} = useCluster({ pusher: { ...pusherAppsEnv() } });

test("pusher-js receives what is published to its channel, by whatever way", async () => {
  using pusher = await connectPusherJs(one.url);
  const { events } = await subscribeJs(pusher, "orders.7");

  await publishToTopic(bus, "orders.7", '{"id":1}', [["Event", "paid"]]);
  await publishToTopic(bus, "orders.7", "plain text");
  await history.append(topic("orders.7"), '{"id":2}');

  await until("the publications", () => events.length === 4);
  expect(events.slice(1)).toEqual([
    { event: "paid", data: { id: 1 } },
    { event: "message", data: "plain text" },
    { event: "message", data: { id: 2 } },
  ]);
});

test("frames are those of the protocol, and publications are never reordered against the subscription", async () => {
  const client = await connectPusher(one.url);
  await client.subscribe("news");
  await client.subscribe("news");
  await publishToEveryone(bus, "to everyone");
  await publishToTopic(bus, "news", "1", [["Event", "e"]]);

  await client.next("e");
  expect(client.frames[0]).toEqual({
    event: "pusher:connection_established",
    data: JSON.stringify({ socket_id: client.socketId, activity_timeout: 120 }),
  });
  expect(client.socketId).toMatch(/^\d+\.\d+$/);
  expect(client.frames.slice(1)).toEqual([
    { event: "pusher_internal:subscription_succeeded", channel: "news", data: "{}" },
    { event: "pusher_internal:subscription_succeeded", channel: "news", data: "{}" },
    { event: "message", data: "to everyone" },
    { event: "e", channel: "news", data: "1" },
  ]);
  client.send({ event: "pusher:unsubscribe", data: { channel: "news" } });
  client.send({ event: "pusher:unsubscribe", data: { channel: "unknown" } });
  await client.settle();
  await publishToTopic(bus, "news", "2");
  await publishToEveryone(bus, "end");
  await until("the end", () => client.frames.at(-1)?.data === "end");
  expect(client.frames.filter(({ data }) => data === "2")).toEqual([]);
});

test("a client with a wrong key is refused with an error and a close code, and does not retry", async () => {
  const refused = openPusherSocket(pusherUrl(one.url, "no-such-key"));

  await until("the close", () => refused.close);
  expect(refused.frames).toEqual([{ event: "pusher:error", data: { code: 4001, message: "no app has this key" } }]);
  expect(refused.close).toEqual({ code: 4001, reason: "no app has this key" });
});

test("a private channel needs the signature of this connection", async () => {
  const client = await connectPusher(one.url);
  const other = await connectPusher(two.url);
  const raw = await connectRawClient(`${one.url}?topic=%3E`);
  const fanwire = await connectFanwire(one.url, { topic: ">" });

  expect((await client.subscribe("private-orders")).event).toBe("pusher_internal:subscription_succeeded");
  await other.subscribe("news");
  await publishToTopic(bus, "private-orders", "secret");
  await publishToTopic(bus, "news", "public");

  await client.next("message", "private-orders");
  await other.next("message", "news");
  await until("the public one", () => raw.frames.includes("public") && fanwire.data().includes("public"));
  expect(raw.frames).not.toContain("secret");
  expect(fanwire.data()).not.toContain("secret");
  expect(subjects.live(topic("private-orders"))).toContain(".private.");
});

test("a private channel accepts the signature that SDKs make for it with member data", async () => {
  const client = await connectPusher(one.url);

  const answer = await client.subscribe("private-with-data", { user_id: "1" });

  expect(answer).toEqual({ event: "pusher_internal:subscription_succeeded", channel: "private-with-data", data: "{}" });
});

test("a cache channel begins with its last durable event, or with a miss", async () => {
  await history.append(topic("cache-price"), "1");
  await history.append(topic("cache-price"), "2");
  const client = await connectPusher(one.url);

  await client.subscribe("cache-price");
  await client.subscribe("cache-empty");
  await publishToTopic(bus, "cache-price", "3");
  await until("the last one", () => client.frames.at(-1)?.data === "3");

  expect(client.frames.slice(1).map(({ event, channel, data }) => [event, channel, data])).toEqual([
    ["pusher_internal:subscription_succeeded", "cache-price", "{}"],
    ["message", "cache-price", "2"],
    ["pusher_internal:subscription_succeeded", "cache-empty", "{}"],
    ["pusher:cache_miss", "cache-empty", undefined],
    ["message", "cache-price", "3"],
  ]);
});

test("clients that subscribe to a busy cache channel begin with one cached event, without gap or repeat", async () => {
  let published = 0;
  let isPublishing = true;
  const publishing = (async () => {
    while (isPublishing) await history.append(topic("cache-busy"), String(published++));
  })();
  await until("the channel has events", () => published > 20);

  const clients = [];
  for (let n = 0; n < 20; n++) {
    const client = await connectPusher(n % 2 === 0 ? one.url : two.url);
    client.send({ event: "pusher:subscribe", data: { channel: "cache-busy", auth: "" } });
    clients.push(client);
  }
  await Promise.all(clients.map((client) => client.next("pusher_internal:subscription_succeeded", "cache-busy")));
  isPublishing = false;
  await publishing;

  for (const { frames } of clients) {
    await until("the last event", () => frames.at(-1)?.data === String(published - 1));
    expect(frames[1]?.event).toBe("pusher_internal:subscription_succeeded");
    const numbers = frames.slice(2).map(({ data }) => Number(data));
    expect(numbers).toEqual(Array.from(numbers, (_, at) => published - numbers.length + at));
  }
});

test("the first event of a cache channel reaches a client that subscribes while it is stored", async () => {
  const client = await connectPusher(one.url);
  const channels = Array.from({ length: 100 }, (_, n) => `cache-first-${n}`);

  for (const [n, channel] of channels.entries()) {
    client.send({ event: "pusher:subscribe", data: { channel, auth: "" } });
    if (n % 4 !== 0) await delay((n % 4) / 4);
    await history.append(topic(channel), channel);
  }

  const received = () => client.frames.flatMap(({ event, channel }) => (event === "message" ? [channel] : []));
  await until(
    () => `all events, without ${channels.filter((channel) => !received().includes(channel))}`,
    () => channels.every((channel) => received().includes(channel)),
  );
  expect(received()).toHaveLength(channels.length);
});

test("a client that the application has subscribed to a cache channel receives its event", async () => {
  await history.append(topic("cache-given"), "1");
  const client = await connectPusher(one.url);
  const [worker, connectionId] = client.socketId.split(".");
  const id = Number(worker).toString(36);
  const connection = { connectionId: Number(connectionId) };
  for (const each of ["cache-given", "cache-given-empty"]) {
    await askWorker(bus, id, { command: "subscribe", ...connection, topic: each });
  }

  await client.subscribe("cache-given");
  await client.subscribe("cache-given-empty");

  expect(await client.next("message", "cache-given")).toMatchObject({ data: "1" });
  await client.next("pusher:cache_miss", "cache-given-empty");
});

test("a client that the application has subscribed receives nothing older after its success", async () => {
  let published = 0;
  let isPublishing = true;
  const publishing = (async () => {
    while (isPublishing) await history.append(topic("cache-given-busy"), String(published++));
  })();
  await until("the channel has events", () => published > 20);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectPusher(one.url)));

  for (const client of clients) {
    const [worker, connectionId] = client.socketId.split(".");
    const request = { connectionId: Number(connectionId), topic: "cache-given-busy" };
    // Some are not live yet by the subscription of the application.
    const given = askWorker(bus, Number(worker).toString(36), { command: "subscribe", ...request });
    if (clients.indexOf(client) % 2 === 0) await given;
    await client.subscribe("cache-given-busy");
    await given;
  }
  isPublishing = false;
  await publishing;

  for (const { frames } of clients) {
    await until("the last event", () => frames.at(-1)?.data === String(published - 1));
    const success = frames.findIndex(({ event }) => event === "pusher_internal:subscription_succeeded");
    const numbers = frames.slice(success + 1).map(({ data }) => Number(data));
    expect(numbers).toEqual(Array.from(numbers, (_, at) => published - numbers.length + at));
    expect(numbers.length).toBeGreaterThan(0);
  }
});

test("a client that subscribes again before the answer receives two answers, and is subscribed once", async () => {
  const client = await connectPusher(one.url);
  for (const channel of ["twice", "cache-twice"]) {
    const frame = { event: "pusher:subscribe", data: { channel, auth: "" } };
    client.send(frame);
    client.send(frame);
    await client.next("pusher_internal:subscription_succeeded", channel);
    await client.next("pusher_internal:subscription_succeeded", channel);
    await publishToTopic(bus, channel, "once");
  }

  await until("the last one", () => client.frames.at(-1)?.data === "once" && client.frames.at(-1)?.channel !== "twice");
  expect(client.frames.filter(({ data }) => data === "once")).toHaveLength(2);
});

test("a client that unsubscribes and subscribes again in one breath is subscribed once", async () => {
  const client = await connectPusher(one.url);
  const frame = (event: string, channel: string) => ({ event: `pusher:${event}`, data: { channel, auth: "" } });

  for (const channel of ["fast", "cache-fast"]) {
    for (const event of ["subscribe", "unsubscribe", "subscribe"]) client.send(frame(event, channel));
  }
  await client.next("pusher:cache_miss");
  await publishToTopic(bus, "fast", "once");
  await publishToTopic(bus, "cache-fast", "once");
  await publishToTopic(bus, "fast", "end");

  await until("the end", () => client.frames.some(({ data }) => data === "end"));
  for (const channel of ["fast", "cache-fast"]) {
    const own = client.frames.filter((each) => each.channel === channel);
    expect(own.filter(({ data }) => data === "once")).toHaveLength(1);
    expect(own[0]?.event).toBe("pusher_internal:subscription_succeeded");
  }
});

test("a connection that the application unsubscribed can subscribe again", async () => {
  const client = await connectPusher(one.url);
  await client.subscribe("taken");
  const [worker, connectionId] = client.socketId.split(".");
  const id = Number(worker).toString(36);
  await askWorker(bus, id, { command: "unsubscribe", connectionId: Number(connectionId), topic: "taken" });
  await publishToTopic(bus, "taken", "missed");

  await client.subscribe("taken");
  await publishToTopic(bus, "taken", "received");

  await until("the publication", () => client.frames.at(-1)?.data === "received");
  expect(client.frames.some(({ data }) => data === "missed")).toBe(false);
});
