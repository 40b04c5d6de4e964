import type { ServingParts } from "../served-protocol.ts";
import { ClusterCounts } from "./cluster-counts.ts";
import type { JoinedChannel, PusherSession } from "./session.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";
import { Watchlists } from "./watchlists.ts";

/** Tells clients about others: how many share a channel, and which users are online. Only for apps that want that. */
export type Audience = {
  /** Must be called when a client is subscribed to a channel. */
  subscribed(session: PusherSession, name: string, channel: JoinedChannel): void;
  unsubscribed(session: PusherSession, channel: JoinedChannel): void;
  /** Must be called when a client has signed in. `watched` is unchecked. */
  signedIn(session: PusherSession, watched: unknown): void;
  /** Must be called when a connection has closed. */
  closed(session: PusherSession): void;
  stop(): void;
};

const NOBODY: Audience = {
  subscribed: () => {},
  unsubscribed: () => {},
  signedIn: () => {},
  closed: () => {},
  stop: () => {},
};

export function openAudience(parts: ServingParts): Audience {
  const { hub, config } = parts;
  const { pusherApps } = config;
  if (!pusherApps.all.some((app) => app.subscriptionCount || app.watchlist)) return NOBODY;
  const counts = new ClusterCounts({
    ...parts,
    changed: (keys) => {
      subscriptions.onChanged(keys);
      watchlists.onChanged(keys);
    },
  });
  const subscriptions = new SubscriptionCounts(pusherApps, counts);
  const watchlists = new Watchlists(counts, config.presenceLeaveMs);
  hub.onSubscribers = (topic, subscribers) => subscriptions.onSubscribers(topic, subscribers);
  return {
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
    },
    stop: () => {
      counts.stop();
      subscriptions.stop();
      watchlists.stop();
    },
  };
}
