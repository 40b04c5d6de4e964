import { afterAll, expect, test } from "vitest";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusherJs, signer } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

const receiver = await startWebhookReceiver();
const app = { ...demoApp, clientEvents: true, subscriptionCount: true, webhooks: [{ url: receiver.url }] };
const env = pusherAppsEnv(app);
const { nats, pushers } = useCluster({ pusher: env });
useWebhookSenders(nats, env, 2);

afterAll(() => receiver[Symbol.asyncDispose]());

test("pusher-js clients on two pushers cause the webhooks of Pusher, once each", async () => {
  const channel = "presence-room";
  const [anna, again, bob] = await Promise.all([join(0, "anna"), join(1, "anna"), join(1, "bob")]);
  const channels = [anna, again, bob].map((client) => client.subscribe(channel));
  await until("all have joined", () => channels.every(({ subscribed }) => subscribed));
  await until("the members are added", () => of(channel, "member_added").length === 2);
  channels[2]?.trigger("client-typing", { at: 1 });
  await until("the client event", () => of(channel, "client_event").length === 1);

  expect(of(channel, "client_event")).toEqual([
    {
      ...{ name: "client_event", channel, event: "client-typing", data: '{"at":1}', user_id: "bob" },
      socket_id: bob.connection.socket_id,
    },
  ]);
  anna.disconnect();
  bob.disconnect();
  await until("bob is removed", () => of(channel, "member_removed").length === 1);
  again.disconnect();
  await until("the channel is vacated", () => of(channel, "channel_vacated").length === 1);
  expect(of(channel, "member_removed").map((event) => event.user_id)).toEqual(["bob", "anna"]);
  expect(
    of(channel, "member_added")
      .map((event) => event.user_id)
      .sort(),
  ).toEqual(["anna", "bob"]);
  expect(of(channel, "channel_occupied")).toHaveLength(1);
  const names = receiver.events().flatMap((event) => (event.channel === channel ? [event.name] : []));
  expect([names[0], names.at(-1)]).toEqual(["channel_occupied", "channel_vacated"]);
  expect(of(channel, "subscription_count")).toEqual([]);
});

test("clients that miss a cached event together cause one webhook, and counts reach the number of subscribers", async () => {
  const clients = await Promise.all([join(0, "a"), join(1, "b"), join(1, "c")]);
  const subscribed = clients.map((client) => client.subscribe("cache-news"));
  await until("all are subscribed", () => subscribed.every((each) => each.subscribed));

  await until("three are counted", () => of("cache-news", "subscription_count").at(-1)?.subscription_count === 3);
  await until("the miss", () => of("cache-news", "cache_miss").length > 0);
  for (const client of clients) client.disconnect();
  await until("vacated", () => of("cache-news", "channel_vacated").length === 1);
  expect(of("cache-news", "cache_miss")).toHaveLength(1);
  expect(of("cache-news", "subscription_count").at(-1)?.subscription_count).toBe(0);
});

test("the Pusher SDK accepts every webhook", () => {
  expect(receiver.received.length).toBeGreaterThan(0);
  for (const { headers, body } of receiver.received) {
    const webhook = signer().webhook({ headers, rawBody: body });
    expect(webhook.isValid()).toBe(true);
    expect(Math.abs(webhook.getTime().getTime() - Date.now())).toBeLessThan(60_000);
  }
});

function join(at: 0 | 1, user: string) {
  return connectPusherJs(pushers[at].url, { member: { user_id: user } });
}

function of(channel: string, name: string): Readonly<Record<string, unknown>>[] {
  return receiver.events().filter((event) => event.channel === channel && event.name === name);
}
