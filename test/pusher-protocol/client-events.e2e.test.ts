import { expect, test } from "vitest";
import { publishToTopic } from "../support/bus.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import {
  connectPusher,
  connectPusherJs,
  type PusherClient,
  sendTogether,
  subscribeJs,
} from "../support/pusher-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MAX_BYTES = 200;

const {
  bus,
  pushers: [one, two],
} = useCluster({
  pusher: {
    ...pusherAppsEnv({ ...demoApp, clientEvents: true, maxEventBytes: MAX_BYTES }),
    PUSHER_TOKEN_SECRET: SECRET,
  },
});

const isEnd = ({ data }: { data?: unknown }) => data === "end";
const errorOf = async (client: PusherClient) => (await client.next("pusher:error")).data;

test("a client event reaches pusher-js on other workers, and not its sender", async () => {
  using sender = await connectPusherJs(one.url);
  using receiver = await connectPusherJs(two.url);
  const sent = await subscribeJs(sender, "private-room");
  const received = await subscribeJs(receiver, "private-room");
  const token = await signToken({ topics: ["private-*"] });
  const fanwire = await connectFanwire(one.url, { token, topic: "private-room" });

  sent.channel.trigger("client-typing", { at: 3 });
  await until("the client event", () => received.events.length > 1);
  await publishToTopic(bus, "private-room", "end");

  await until("the end", () => sent.events.some(({ data }) => data === "end"));
  expect(received.events[1]).toEqual({ event: "client-typing", data: { at: 3 } });
  expect(sent.events.map(({ event }) => event)).toEqual(["pusher:subscription_succeeded", "message"]);
  await until("the end by fanwire.v1", () => fanwire.data().includes("end"));
  expect(fanwire.publications[0]).toMatchObject({ event: "client-typing", topic: "private-room", data: '{"at":3}' });
});

test("the eleventh client event of a second is refused", async () => {
  const sender = await connectPusher(one.url);
  const receiver = await connectPusher(two.url);
  for (const client of [sender, receiver]) await client.subscribe("private-rate");

  // In one write: while frames arrive one by one on a busy machine, the limit may allow another.
  sendTogether(sender, 11, (n) => ({ event: "client-n", channel: "private-rate", data: { n } }));

  expect(await errorOf(sender)).toEqual({ code: 4301, message: "at most 10 client events per second" });
  await publishToTopic(bus, "private-rate", "end");
  const allowed = () => receiver.frames.filter(({ event }) => event === "client-n");
  // Another connection to NATS publishes the end, which may overtake the client events.
  await until("ten events and the end", () => allowed().length >= 10 && receiver.frames.some(isEnd));
  expect(allowed()).toHaveLength(10);
  expect(sender.close).toBeUndefined();
});

test.each([
  ["a public channel", { event: "client-a", channel: "room", data: 1 }, 4301],
  ["an encrypted channel", { event: "client-a", channel: "private-encrypted-room", data: 1 }, 4301],
  ["a channel of which the client is no subscriber", { event: "client-a", channel: "private-other", data: 1 }, 4009],
  ["a channel that is no text", { event: "client-a", channel: ["private-room"], data: 1 }, null],
  ["no channel", { event: "client-a", data: 1 }, null],
  ["too much data", { event: "client-a", channel: "private-room", data: "x".repeat(MAX_BYTES + 1) }, null],
  ["a long name", { event: `client-${"a".repeat(200)}`, channel: "private-room", data: 1 }, null],
  ["a line feed in the name", { event: "client-a\r\nExcept: x", channel: "private-room", data: 1 }, null],
  ["another prefix", { event: "x-client-a", channel: "private-room", data: 1 }, null],
])("a client event with %s is refused", async (_what, frame, code) => {
  const client = await connectPusher(one.url);
  const receiver = await connectPusher(two.url);
  for (const name of ["room", "private-room", "private-encrypted-room"]) {
    await client.subscribe(name);
    await receiver.subscribe(name);
  }
  await receiver.subscribe("private-other");

  client.send(frame);

  expect(await errorOf(client)).toMatchObject({ code });
  await publishToTopic(bus, "private-room", "end");
  await receiver.next("message");
  expect(receiver.frames.filter(({ event }) => event.includes("client-"))).toEqual([]);
  expect(client.close).toBeUndefined();
});

test("data of exactly the maximum is delivered", async () => {
  const client = await connectPusher(one.url);
  const receiver = await connectPusher(two.url);
  for (const each of [client, receiver]) await each.subscribe("private-most");

  client.send({ event: "client-a", channel: "private-most", data: "x".repeat(MAX_BYTES) });
  client.send({ event: "client-b", channel: "private-most" });

  expect((await receiver.next("client-a")).data).toHaveLength(MAX_BYTES);
  expect((await receiver.next("client-b")).data).toBe("");
});
