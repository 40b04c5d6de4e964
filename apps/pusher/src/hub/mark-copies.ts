import { patternsOverlap } from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import { membersOf } from "../connections/small-set.ts";
import type { Presence } from "../presence/presence.ts";
import type { SharedSubscriptions } from "./shared-subscriptions.ts";

/**
 * Moves a connection to other groups if its protocol encodes copies in another way. Must be called before the
 * connection subscribes to `pattern`, which may overlap another of its topics.
 */
export function markCopies(
  connection: Connection,
  pattern: string,
  { subscriptions, presence }: { readonly subscriptions: SharedSubscriptions; readonly presence: Presence },
): void {
  const state = connection.getUserData();
  if (state.hasCopies || state.protocol.encodings.length === 1) return;
  const others = [...membersOf(state.topics)];
  if (!others.some((other) => patternsOverlap(other, pattern))) return;
  const ofUser = state.grant.user === undefined ? undefined : subscriptions.ofUser(state.grant.user);
  const all = [subscriptions.everyone, ofUser, ...others.map((other) => subscriptions.ofTopic(other))];
  const moved = all.flatMap((subscription) => (subscription?.has(connection) ? subscription : []));
  for (const subscription of moved) subscription.stopDelivery(connection);
  presence.moveGroups(connection, () => {
    state.hasCopies = true;
  });
  for (const subscription of moved) subscription.startDelivery(connection);
}
