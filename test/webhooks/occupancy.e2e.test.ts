import { afterAll, expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

/** Above the time for which the end of an occupied topic is held back. */
const AFTER_HOLD_MS = 4_500;

// The receiver must exist before the services read its address.
const receiver = await startWebhookReceiver();
const env = pusherAppsEnv({ ...demoApp, webhooks: [{ url: receiver.url }] });
const { nats, pushers } = useCluster({ pusher: env });
const senders = useWebhookSenders(nats, env, 2);
afterAll(() => receiver[Symbol.asyncDispose]());

test("leader election: one of two webhook senders leads", async () => {
  const leaders = await Promise.all(senders.all.map(({ adminUrl }) => metric(adminUrl, "fanwire_webhooks_leader")));

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
