import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import type { SharedSubscriptions } from "./shared-subscriptions.ts";

/** Returns whether a connection has joined all its subscriptions, so that none of them is being recovered. */
export function isLive(connection: Connection, subscriptions: SharedSubscriptions): boolean {
  const { grant, topics, protocol } = connection.getUserData();
  const isJoined = (subscription: SharedSubscription | undefined) => subscription?.has(connection) ?? false;
  if (!protocol.skipsEveryone && !isJoined(subscriptions.everyone)) return false;
  if (grant.user !== undefined && !isJoined(subscriptions.ofUser(grant.user))) return false;
  for (const pattern of membersOf(topics)) if (!isJoined(subscriptions.ofTopic(pattern))) return false;
  return true;
}
