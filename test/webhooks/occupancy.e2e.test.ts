import { createRequire } from "node:module";
import { webhookSignature } from "@fanwire/pusher-protocol";
import type PusherSdk from "pusher";
import { afterAll, beforeAll, expect, test } from "vitest";
import { metric, startWebhooks, type TestWebhooks } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

const Pusher = createRequire(import.meta.url)("pusher") as typeof PusherSdk;

/** Above the time for which the end of an occupied topic is held back. */
const AFTER_HOLD_MS = 4_500;

let receiver: WebhookReceiver;
let webhooks: TestWebhooks[];

// The receiver must exist before the services read its address.
receiver = await startWebhookReceiver();
const app = { ...demoApp, webhooks: [{ url: receiver.url }] };
const env = pusherAppsEnv(app);
const { nats, pushers } = useCluster({ pusher: env });

beforeAll(async () => {
  webhooks = await Promise.all([startWebhooks({ nats: nats.url, env }), startWebhooks({ nats: nats.url, env })]);
});
afterAll(async () => {
  for (const each of webhooks) await each[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

test("one of two webhook senders leads", async () => {
  const leaders = await Promise.all(webhooks.map(({ adminUrl }) => metric(adminUrl, "fanwire_webhooks_leader")));

  expect(leaders.sort()).toEqual([0, 1]);
});

test("a topic is occupied once and vacated once, whatever its subscribers do in between", async () => {
  const first = await connectFanwire(pushers[0].url, { topic: "moving" });
  await until("occupied", () => of("moving").length === 1);
  const second = await connectFanwire(pushers[1].url, { topic: "moving" });
  first.socket.close();
  const third = await connectFanwire(pushers[0].url, { topic: "moving" });
  second.socket.close();
  third.socket.close();
  // Nobody is subscribed for a moment that is shorter than the hold-back.
  const fourth = await connectFanwire(pushers[1].url, { topic: "moving" });
  await passes(AFTER_HOLD_MS);
  expect(of("moving")).toEqual(["channel_occupied"]);

  fourth.socket.close();
  await until("vacated", () => of("moving").length === 2);
  await passes(1_000);
  expect(of("moving")).toEqual(["channel_occupied", "channel_vacated"]);
});

test("a topic that is occupied for a moment causes both events", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "brief" });
  client.socket.close();

  await until("both events", () => of("brief").length === 2);
  expect(of("brief")).toEqual(["channel_occupied", "channel_vacated"]);
});

test("the Pusher SDK accepts the webhook", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "for-the-sdk" });
  await until("occupied", () => of("for-the-sdk").length === 1);
  const pusher = new Pusher({ appId: demoApp.id, key: demoApp.key, secret: demoApp.secret, cluster: "local" });

  for (const { headers, body } of receiver.received) {
    const webhook = pusher.webhook({ headers, rawBody: body });
    expect(webhook.isValid()).toBe(true);
    expect(Math.abs(webhook.getTime().getTime() - Date.now())).toBeLessThan(60_000);
    expect(headers["x-pusher-signature"]).toBe(webhookSignature(demoApp.secret, body));
    expect(headers["content-type"]).toBe("application/json");
  }
  client.socket.close();
});

function of(channel: string): unknown[] {
  return receiver
    .events()
    .filter((event) => event.channel === channel)
    .map(({ name }) => name);
}

/** Waits, for an event that must not come. */
function passes(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
