import { readFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { createAuthority } from "./certificates.ts";
import { connectPeer } from "./channel-peer.ts";
import { metricsText, type TestWebhooks } from "./cluster.ts";
import { connectFanwire } from "./fanwire-client.ts";
import { postPublication } from "./http-api.ts";
import { connectRawClient } from "./raw-client.ts";
import { serveFiles } from "./served-certificate.ts";
import { useCluster } from "./use-cluster.ts";
import { until } from "./wait.ts";
import { startWebhookReceiver, type WebhookReceiver } from "./webhook-receiver.ts";
import { useWebhookSenders } from "./webhook-senders.ts";

/** Events that pushers report and the webhook sender posts. */
const EVENTS = { FANWIRE_EVENTS: "topic_occupied,topic_vacated" };

/**
 * Starts a pusher with TLS, a publisher, a channel server and a webhook sender on one NATS. Must be awaited before the
 * tests of a file.
 */
export async function useMonitoredCluster() {
  const receiver: WebhookReceiver = await startWebhookReceiver();
  const endpoints = JSON.stringify([{ url: receiver.url, secret: "0123456789abcdef0123456789abcdef" }]);
  const authority = createAuthority();
  const files = serveFiles(authority.issue("DNS:localhost"));
  const { nats, pusher, publisher, channel } = useCluster({ pusher: { ...EVENTS, ...files.env } });
  const senders = useWebhookSenders(nats, { ...EVENTS, WEBHOOKS_ENDPOINTS: endpoints });
  beforeAll(() => senders.leader());
  afterAll(async () => {
    await receiver[Symbol.asyncDispose]();
    files[Symbol.dispose]();
    authority[Symbol.dispose]();
  });

  const webhooks = (): TestWebhooks => {
    const [sender] = senders.all;
    if (sender === undefined) throw new Error("no webhook sender runs");
    return sender;
  };
  const adminUrls = () => ({
    pusher: pusher.adminUrl,
    publisher: publisher.adminUrl,
    channel: channel.adminUrl,
    webhooks: webhooks().adminUrl,
  });

  /** Does some of everything once, so that series which appear with the first event exist. */
  const useEverything = async () => {
    const [url, tls] = [`wss://localhost:${new URL(pusher.url).port}/`, { ca: readFileSync(authority.caFile) }];
    const raw = await connectRawClient(url, {}, tls);
    const client = await connectFanwire(url, { topic: "news" }, tls);
    await postPublication(publisher, { target: { everyone: true }, data: "live" });
    const kept = { target: { topic: "news" }, data: "kept", durable: true, receipt: true };
    const { body } = await postPublication<{ position: string }>(publisher, kept);
    await until("the durable publication", () => client.data().includes("kept"));
    const resumed = await connectFanwire(url, { topic: "news", since: body.position }, tls);
    await until("the webhook", () => receiver.events().length > 0);

    using peer = await connectPeer({ port: channel.port });
    peer.subscribe("event");
    peer.publish(["event"], "data");
    peer.watch("queue");
    peer.reserve();
    peer.enqueue(["queue"], "item");
    await until("the event and the item", () => peer.payloads.length >= 2);
    for (const { socket } of [raw, client, resumed]) socket.close();
    await until("closed connections", async () =>
      (await metricsText(pusher.adminUrl)).includes("fanwire_pusher_connections_closed_total{"),
    );
  };

  return { adminUrls, useEverything };
}
