import { setTimeout as delay } from "node:timers/promises";
import { parseSocketId } from "@fanwire/pusher-protocol";
import { expect, test } from "vitest";
import { askWorker, publishToEveryone, publishToTopic } from "../support/bus.ts";
import { caughtUp } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import {
  connectPusher,
  connectPusherJs,
  type PusherClient,
  type PusherFrame,
  subscribeJs,
} from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  bus,
  history,
  pushers: [one, two],
} = useCluster({ pusher: pusherAppsEnv() });

/** Subscribes or unsubscribes a client as the application. */
async function asApplication(command: "subscribe" | "unsubscribe", { socketId }: PusherClient, channel: string) {
  const { workerId, connectionId } = parseSocketId(socketId) ?? expect.fail("no socket id");
  await askWorker(bus, workerId, { command, connectionId, topic: channel });
}

/** Stores numbers from 0 on until `stop` is called, which resolves with their count. Resolves after the first ones. */
async function storeNumbers(channel: string): Promise<{ stop(): Promise<number> }> {
  let published = 0;
  let isPublishing = true;
  const publishing = (async () => {
    while (isPublishing) await history.append(topic(channel), String(published++));
    return published;
  })();
  await until("the channel has events", () => published > 20);
  return {
    stop: () => {
      isPublishing = false;
      return publishing;
    },
  };
}

/** Waits until a client has the last of the stored numbers, and checks that it has all from its first one on. */
async function expectNumbers({ frames }: PusherClient, published: number): Promise<void> {
  await until("the last event", () => frames.at(-1)?.data === String(published - 1));
  const success = frames.findIndex(({ event }) => event === "pusher_internal:subscription_succeeded");
  const numbers = frames.slice(success + 1).map(({ data }) => Number(data));
  expect(numbers).toEqual(Array.from(numbers, (_, at) => published - numbers.length + at));
}

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

test("a private channel accepts the signature that SDKs make for it with member data", async () => {
  const client = await connectPusher(one.url);

  const answer = await client.subscribe("private-with-data", { user_id: "1" });

  expect(answer).toEqual({ event: "pusher_internal:subscription_succeeded", channel: "private-with-data", data: "{}" });
});

test.each([
  ["cache", undefined],
  ["presence-cache", { user_id: "1" }],
])("a %s channel begins with its last durable event, once, or with a miss", async (kind, member) => {
  const [price, empty] = [`${kind}-price`, `${kind}-empty`];
  await history.append(topic(price), "1");
  await caughtUp(one, await history.append(topic(price), "2"));
  const client = await connectPusher(one.url);

  for (const channel of [price, price, empty]) await client.subscribe(channel, member);
  await publishToTopic(bus, price, "3");
  await until("the last one", () => client.frames.at(-1)?.data === "3");

  const contentOf = ({ event, data }: PusherFrame) => (event === "message" ? data : undefined);
  expect(client.frames.slice(1).map((frame) => [frame.event, frame.channel, contentOf(frame)])).toEqual([
    ["pusher_internal:subscription_succeeded", price, undefined],
    ["message", price, "2"],
    ["pusher_internal:subscription_succeeded", price, undefined],
    ["pusher_internal:subscription_succeeded", empty, undefined],
    ["pusher:cache_miss", empty, undefined],
    ["message", price, "3"],
  ]);
});

test("clients that subscribe to a busy cache channel begin with one cached event, without gap or repeat", async () => {
  const numbers = await storeNumbers("cache-busy");
  const clients = [];
  for (let n = 0; n < 20; n++) {
    const client = await connectPusher(n % 2 === 0 ? one.url : two.url);
    client.send({ event: "pusher:subscribe", data: { channel: "cache-busy", auth: "" } });
    clients.push(client);
  }
  await Promise.all(clients.map((client) => client.next("pusher_internal:subscription_succeeded", "cache-busy")));
  const published = await numbers.stop();

  for (const client of clients) {
    await expectNumbers(client, published);
    expect(client.frames[1]?.event).toBe("pusher_internal:subscription_succeeded");
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
  for (const channel of ["cache-given", "cache-given-empty"]) await asApplication("subscribe", client, channel);

  await client.subscribe("cache-given");
  await client.subscribe("cache-given-empty");

  expect(await client.next("message", "cache-given")).toMatchObject({ data: "1" });
  await client.next("pusher:cache_miss", "cache-given-empty");
});

test("a client that the application has subscribed receives nothing older after its success", async () => {
  const numbers = await storeNumbers("cache-given-busy");
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectPusher(one.url)));

  for (const [n, client] of clients.entries()) {
    // Some are not live yet by the subscription of the application.
    const given = asApplication("subscribe", client, "cache-given-busy");
    if (n % 2 === 0) await given;
    await client.subscribe("cache-given-busy");
    await given;
  }
  const published = await numbers.stop();

  for (const client of clients) await expectNumbers(client, published);
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
  await asApplication("unsubscribe", client, "taken");
  await publishToTopic(bus, "taken", "missed");

  await client.subscribe("taken");
  await publishToTopic(bus, "taken", "received");

  await until("the publication", () => client.frames.at(-1)?.data === "received");
  expect(client.frames.some(({ data }) => data === "missed")).toBe(false);
});
