import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import type { SharedSubscriptions } from "./shared-subscriptions.ts";

/** Returns whether all subscriptions of a connection are live, so that none of them is being recovered. */
export function isLive(connection: Connection, subscriptions: SharedSubscriptions): boolean {
  const { grant, topics, protocol } = connection.getUserData();
  const delivers = (subscription: SharedSubscription | undefined) => subscription?.has(connection) ?? false;
  if (!protocol.skipsEveryone && !delivers(subscriptions.everyone)) return false;
  if (grant.user !== undefined && !delivers(subscriptions.ofUser(grant.user))) return false;
  for (const pattern of membersOf(topics)) if (!delivers(subscriptions.ofTopic(pattern))) return false;
  return true;
}
