import { afterAll, beforeAll } from "vitest";
import { demoApp, pusherAppsEnv } from "./pusher-apps.ts";
import { useCluster } from "./use-cluster.ts";
import { startWebhookReceiver } from "./webhook-receiver.ts";
import { useWebhookSenders } from "./webhook-senders.ts";

type Event = Readonly<Record<string, unknown>>;

/**
 * Starts two pushers and two webhook senders for an app with webhooks of all kinds, and records announced and delivered
 * events. Must be awaited before the tests of a file.
 */
export async function useWebhookCluster() {
  const receiver = await startWebhookReceiver();
  const topics = { url: receiver.url, events: ["channel_occupied", "channel_vacated", "client_event", "cache_miss"] };
  const members = { url: receiver.url, events: ["member_added", "member_removed", "subscription_count"] };
  const env = pusherAppsEnv({ ...demoApp, subscriptionCount: true, webhooks: [topics, members] });
  const { nats, pushers, bus } = useCluster({ pusher: env });
  const senders = useWebhookSenders(nats, env, 2);

  const announcements: Event[] = [];
  beforeAll(async () => {
    for (const name of ["topic_occupied", "topic_vacated"]) {
      bus.subscribe(`fanwire.events.${name}.>`, ({ data }) => {
        announcements.push(JSON.parse(Buffer.from(data).toString()));
      });
    }
    await bus.confirm();
  });
  afterAll(() => receiver[Symbol.asyncDispose]());

  /** Returns the delivered events of a channel. */
  const of = (channel: string): Event[] => receiver.events().filter((event) => event.channel === channel);

  /** Returns the names of the delivered events of a channel, without counts. A repeated delivery counts once. */
  const names = (channel: string): unknown[] => {
    const all = of(channel).map(({ name }) => name);
    const uncounted = all.filter((name) => name !== "subscription_count");
    return uncounted.filter((name, at) => name === "client_event" || name !== uncounted[at - 1]);
  };

  /** Returns the names of the announced events of a topic. No fault repeats an announcement. */
  const announced = (topic: string): unknown[] =>
    announcements.filter((event) => event.topic === topic).map(({ name }) => name);

  return { receiver, nats, pushers, bus, senders, of, names, announced };
}
