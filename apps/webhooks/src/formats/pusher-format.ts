import { type ClusterEvent, parseConnectionAddress } from "@fanwire/protocol";
import {
  channelKind,
  channelOf,
  formatSocketId,
  type PusherApp,
  type PusherWebhook,
  webhookSignature,
} from "@fanwire/pusher-protocol";
import type { Endpoint } from "../delivery/endpoint.ts";

const MAX_BATCH = 50;

/** Returns an endpoint that receives the webhooks of Pusher Channels for one app. */
export function pusherEndpoint(app: PusherApp, webhook: PusherWebhook, label: string, id: string): Endpoint {
  const wanted: ReadonlySet<string> = new Set(webhook.events);
  return {
    label,
    id,
    url: new URL(webhook.url),
    batch: MAX_BATCH,
    select: (event) => {
      const channel = event.topic === undefined ? undefined : channelOf(app, event.topic);
      if (channel === undefined || !channel.startsWith(webhook.prefix)) return undefined;
      const entry = translate(app, event, channel);
      return entry !== undefined && wanted.has(entry.name) ? JSON.stringify(entry) : undefined;
    },
    encode: (entries, createdAt) => {
      const body = `{"time_ms":${createdAt},"events":[${entries.join(",")}]}`;
      // SDKs compare the content type as a whole, and look up the other names in exactly this form.
      const headers = {
        "Content-Type": "application/json",
        "X-Pusher-Key": app.key,
        "X-Pusher-Signature": webhookSignature(app.secret, body),
      };
      return { headers, body };
    },
  };
}

type PusherEvent = { readonly name: PusherWebhook["events"][number]; readonly channel: string };

function translate(app: PusherApp, event: ClusterEvent, channel: string): PusherEvent | undefined {
  // The user id that clients see. It has no namespace, because the channel has one.
  const { user } = event;
  switch (event.name) {
    case "topic_occupied":
      return { name: "channel_occupied", channel };
    case "topic_vacated":
      return { name: "channel_vacated", channel };
    case "member_joined":
      return memberEvent("member_added", channel, user);
    case "member_left":
      return memberEvent("member_removed", channel, user);
    case "client_published":
      return clientEvent(event, channel, user);
    case "cache_miss":
      return { name: "cache_miss", channel };
    case "subscription_count":
      return countEvent(app, channel, event.count ?? 0);
    default:
      return undefined;
  }
}

function memberEvent(name: PusherEvent["name"], channel: string, user = ""): PusherEvent & { user_id: string } {
  return { name, channel, user_id: user };
}

function clientEvent(event: ClusterEvent, channel: string, user: string | undefined): PusherEvent | undefined {
  // Clients of other protocols may publish events of any name.
  if (event.event === undefined || !event.event.startsWith("client-")) return undefined;
  const address = event.connection === undefined ? undefined : parseConnectionAddress(event.connection);
  const socket = address === undefined ? {} : { socket_id: formatSocketId(address) };
  const member = channelKind(channel).isPresence && user !== undefined ? { user_id: user } : {};
  const content = { event: event.event, data: event.data ?? "" };
  return { name: "client_event", channel, ...content, ...socket, ...member };
}

function countEvent(app: PusherApp, channel: string, count: number) {
  if (!app.subscriptionCount || channelKind(channel).isPresence) return undefined;
  return { name: "subscription_count", channel, subscription_count: count } as const;
}
