import { type EventName, eventNames } from "@fanwire/protocol";
import { setting } from "@fanwire/service";
import type { PusherApps, PusherWebhook } from "./apps.ts";

/** Environment variables of all services that report or deliver events of the cluster. */
export const eventSettings = {
  FANWIRE_EVENTS: setting
    .list("")
    .refine((names) => names.every(isEventName), `must be names of ${eventNames.join(", ")}`)
    .describe(
      "Events of the cluster that pushers report, comma-separated; see docs/webhooks.md. Those that the webhooks of Pusher apps need are always on.",
    ),
};

/** The events of the cluster behind those of Pusher's webhooks. */
const SOURCES: Readonly<Record<PusherWebhook["events"][number], EventName>> = {
  channel_occupied: "topic_occupied",
  channel_vacated: "topic_vacated",
  member_added: "member_joined",
  member_removed: "member_left",
  client_event: "client_published",
  cache_miss: "cache_miss",
  subscription_count: "subscription_count",
};

/** Returns the events that are on: the configured ones, and those that the apps' webhooks need. */
export function wantedEvents(
  { FANWIRE_EVENTS: names }: { readonly FANWIRE_EVENTS: readonly string[] },
  { all }: PusherApps,
): ReadonlySet<EventName> {
  const ofApps = all.flatMap(({ webhooks, subscriptionCount }) =>
    webhooks
      .flatMap(({ events }) => events.map((name) => SOURCES[name]))
      // Counting is an option of the app, and a webhook without a list of events wants all.
      .filter((name) => name !== "subscription_count" || subscriptionCount),
  );
  return new Set([...names.filter(isEventName), ...ofApps]);
}

function isEventName(text: string): text is EventName {
  return (eventNames as readonly string[]).includes(text);
}
