import type { Connection } from "../connections/connection.ts";
import { hasMember } from "../connections/small-set.ts";
import type { SharedSubscription } from "./shared-subscription.ts";

/** Returns the connections with one of the subscriptions that can resume. When they are closed, they learn of a gap. */
export function resumingSubscribers(
  connections: Iterable<Connection>,
  subscriptions: readonly SharedSubscription[],
): Connection[] {
  return [...connections].filter(
    (connection) =>
      connection.getUserData().protocol.canResume &&
      subscriptions.some((subscription) => isSubscribed(connection, subscription)),
  );
}

function isSubscribed(connection: Connection, subscription: SharedSubscription): boolean {
  const { topics, connectionId } = connection.getUserData();
  if (subscription.pattern !== undefined) return hasMember(topics, subscription.pattern);
  return subscription.kind === "everyone" || hasMember(subscription.connectionIds, connectionId);
}
