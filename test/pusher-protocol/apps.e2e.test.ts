import { expect, test } from "vitest";
import { publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { caughtUp } from "../support/cluster.ts";
import { topic } from "../support/durable.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, type PusherClient, signer } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const shop = { id: "2002", key: "shop-key", secret: "shop-secret" };
const bank = { id: "3003", key: "bank-key", secret: "bank-secret" };
const {
  bus,
  history,
  pushers: [one, two],
} = useCluster({
  pusher: pusherAppsEnv(
    { ...demoApp, namespace: "", clientEvents: true },
    { ...shop, clientEvents: true, subscriptionCount: true, watchlist: true },
    { ...bank, clientEvents: true, subscriptionCount: true, watchlist: true },
  ),
});
const APPS = [demoApp, shop, bank];

const CHANNELS = ["news", "private-x", "presence-x", "cache-x"];

async function openAll(): Promise<Record<string, PusherClient>> {
  const opened = await Promise.all(
    APPS.map(async (app, at) => [app.id, await connectPusher(at === 1 ? two.url : one.url, app)] as const),
  );
  for (const [id, client] of opened) {
    for (const channel of CHANNELS) {
      const answer = await client.subscribe(channel, channel === "presence-x" ? { user_id: `of ${id}` } : undefined);
      expect(answer.event).toBe("pusher_internal:subscription_succeeded");
      if (channel === "presence-x") expect(JSON.parse(String(answer.data)).presence.ids).toEqual([`of ${id}`]);
    }
  }
  return Object.fromEntries(opened);
}

const dataOf = (client: PusherClient | undefined) =>
  client?.frames.filter(({ event }) => event === "message" || event.startsWith("client-")).map(({ data }) => data);

test("apps are separate: channels, cached events, members, client events, users and everyone", async () => {
  await caughtUp(two, await history.append(topic("app/2002/cache-x"), "cached by the shop"));
  const clients = await openAll();
  const { 1001: demo, 2002: shopper, 3003: banker } = clients;
  for (const channel of CHANNELS) {
    await publishToTopic(bus, channel, `demo ${channel}`);
    await publishToTopic(bus, `app/2002/${channel}`, `shop ${channel}`);
  }
  shopper?.send({ event: "client-a", channel: "private-x", data: "by a shop client" });
  for (const [id, client] of Object.entries(clients)) {
    const app = APPS.find((each) => each.id === id);
    client.send({ event: "pusher:signin", data: signer(app).authenticateUser(client.socketId, { id: "ann" }) });
    await client.next("pusher:signin_success");
  }
  await bus.publish(subjects.live({ kind: "user", user: "ann" }), Buffer.from("demo ann"));
  await bus.publish(subjects.live({ kind: "user", user: "app/2002/ann" }), Buffer.from("shop ann"));
  await publishToEveryone(bus, "everyone");
  await publishToTopic(bus, "news", "end");
  for (const id of [2002, 3003]) await publishToTopic(bus, `app/${id}/news`, "end");

  for (const client of Object.values(clients)) await until("the end", () => dataOf(client)?.includes("end"));
  const all = (name: string) => CHANNELS.map((channel) => `${name} ${channel}`);
  expect(dataOf(demo)).toEqual([...all("demo"), "demo ann", "everyone", "end"]);
  expect(dataOf(shopper)).toEqual(["cached by the shop", ...all("shop"), "shop ann", "end"]);
  expect(dataOf(banker)).toEqual(["end"]);
  for (const client of [demo, banker]) await client?.next("pusher:cache_miss", "cache-x");
  expect(shopper?.frames.find(({ data }) => data === "shop private-x")).toEqual({
    event: "message",
    channel: "private-x",
    data: "shop private-x",
  });
  expect(shopper?.frames.find(({ data }) => data === "shop ann")?.channel).toBe("#server-to-user-ann");
});

test("a key or signature of one app is worth nothing in another", async () => {
  const client = await connectPusher(one.url, shop);
  const { auth } = signer(bank).authorizeChannel(client.socketId, "private-x");
  const { auth: mixed } = signer({ ...bank, key: shop.key }).authorizeChannel(client.socketId, "private-x");

  for (const each of [auth, mixed]) {
    client.send({ event: "pusher:subscribe", data: { channel: "private-x", auth: each } });
    await client.next("pusher:subscription_error", "private-x");
  }
  client.send({ event: "pusher:signin", data: signer(bank).authenticateUser(client.socketId, { id: "ann" }) });

  await until("three errors", () => client.frames.filter(({ event }) => event === "pusher:error").length === 3);
});
