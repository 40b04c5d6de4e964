import type { ServingParts } from "../served-protocol.ts";
import { ClusterCounts } from "./cluster-counts.ts";
import { ConnectionQuotas } from "./connection-quotas.ts";
import type { PusherSession, PusherSocket, SubscribedChannel } from "./session.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";
import { Watchlists } from "./watchlists.ts";

/**
 * Counts the clients of all workers: subscribers, users who are online, connections of an app. Only for apps that have
 * switched it on.
 */
export type Audience = {
  readonly quotas: ConnectionQuotas<PusherSocket>;
  /** Must be called when a client is subscribed to a channel. */
  subscribed(session: PusherSession, name: string, channel: SubscribedChannel): void;
  unsubscribed(session: PusherSession, channel: SubscribedChannel): void;
  /** Must be called when a client has signed in. `watched` is unchecked. */
  signedIn(session: PusherSession, watched: unknown): void;
  /** Must be called when a connection has closed. */
  closed(session: PusherSession): void;
  stop(): void;
};

export function openAudience(parts: ServingParts): Audience {
  const { hub, config } = parts;
  const apps = config.pusherApps.all;
  const isCounting = apps.some(({ maxConnections }) => maxConnections !== undefined);
  if (!isCounting && !apps.some((app) => app.subscriptionCount || app.watchlist)) return withoutAudience();
  const counts = new ClusterCounts({
    ...parts,
    changed: (keys) => {
      subscriptions.onChanged(keys);
      watchlists.onChanged(keys);
    },
  });
  const subscriptions = new SubscriptionCounts(config.pusherApps, counts);
  const watchlists = new Watchlists(counts, config.presenceLeaveMs);
  const quotas = new ConnectionQuotas<PusherSocket>(apps, counts);
  hub.onSubscribers = (topic, subscribers) => subscriptions.onSubscribers(topic, subscribers);
  return {
    quotas,
    subscribed: (session, name, { topic }) => {
      if (topic !== undefined) subscriptions.add(session, name, topic);
    },
    unsubscribed: (session, { topic }) => {
      if (topic !== undefined) subscriptions.remove(session, topic);
    },
    signedIn: (session, watched) => watchlists.signIn(session, watched),
    closed: (session) => {
      for (const { topic } of session.channels.values()) if (topic !== undefined) subscriptions.remove(session, topic);
      watchlists.close(session);
      quotas.closed(session.app);
    },
    stop: () => {
      counts.stop();
      quotas.stop();
      subscriptions.stop();
      watchlists.stop();
    },
  };
}

function withoutAudience(): Audience {
  return {
    quotas: new ConnectionQuotas([], undefined),
    subscribed: () => {},
    unsubscribed: () => {},
    signedIn: () => {},
    closed: () => {},
    stop: () => {},
  };
}
