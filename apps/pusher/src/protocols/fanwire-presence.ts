import { mayBePresent, maySubscribe } from "@fanwire/tokens";
import type { Connection } from "../connections/connection.ts";
import { hasRoomFor } from "../hub/has-room.ts";
import type { Hub, SubscribeOutcome } from "../hub/hub.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { CommandErrorCode } from "../wire/fanwire-commands.ts";
import { listFields } from "../wire/presence.ts";

export type Failure = { readonly code: CommandErrorCode; readonly message: string };

type PresentSubscribe = {
  readonly hub: Hub;
  /** Maximum subscriptions of a connection. */
  readonly maxTopics: number;
  readonly connection: Connection;
  readonly topic: string;
  /** Called with the members of the reply, if the connection was subscribed already, or with why the command failed. */
  onReply(reply: Failure | Record<string, unknown>): void;
  /**
   * Called with a new subscription, whose delivery must be started. `list` must be called in the tick of the reply, and
   * returns members of it.
   */
  onSubscribed(subscription: SharedSubscription, list: () => Record<string, unknown>): void;
};

const failures: Record<Exclude<SubscribeOutcome, SharedSubscription | "already">, Failure> = {
  forbidden: { code: "forbidden", message: "not authorized for this topic" },
  "topic-limit": { code: "topic-limit", message: "the connection has the maximum number of topics" },
};

/** Returns why a subscription was refused; undefined if it was not. */
export function subscribeFailure(outcome: SubscribeOutcome): Failure | undefined {
  return outcome === "forbidden" || outcome === "topic-limit" ? failures[outcome] : undefined;
}

/** Makes the user a member of the topic, then subscribes to it, so that the reply has both. */
export function subscribePresent(parts: PresentSubscribe): void {
  const { hub, connection, topic, onReply } = parts;
  const failure = refusal(parts);
  if (failure) {
    onReply(failure);
    return;
  }
  const { user = "", info } = connection.getUserData().grant;
  const onLeave = () => onReply({ code: "unavailable", message: "the connection left before the members were known" });
  hub.presence.join(connection, topic, { user, info }, { isHeld: true, onLeave }, ({ ok }) => {
    if (ok) subscribeMember(parts);
    else onReply({ code: "unavailable", message: "the worker has no memory for more members, try again" });
  });
}

function refusal({ hub, maxTopics, connection, topic }: PresentSubscribe): Failure | undefined {
  const { grant } = connection.getUserData();
  if (grant.user === undefined) return { code: "forbidden", message: "presence needs a token with a user (sub)" };
  if (!maySubscribe(grant, topic)) return failures.forbidden;
  if (!mayBePresent(grant, topic)) {
    return { code: "forbidden", message: "the token does not allow presence on this topic" };
  }
  // The hub refuses the topic as well, and counts the refusal.
  return hasRoomFor(connection, topic, hub.presence, maxTopics)
    ? undefined
    : subscribeFailure(hub.subscribe(connection, topic));
}

function subscribeMember({ hub, connection, topic, onReply, onSubscribed }: PresentSubscribe): void {
  const subscribed = hub.subscribe(connection, topic);
  const failure = subscribeFailure(subscribed);
  if (failure) hub.presence.leave(connection, topic);
  // Undefined if the connection has unsubscribed meanwhile.
  const list = () => listFieldsOf(hub, connection, topic);
  if (failure) onReply(failure);
  else if (typeof subscribed === "object") onSubscribed(subscribed, list);
  else onReply(list());
}

function listFieldsOf(hub: Hub, connection: Connection, topic: string): Record<string, unknown> {
  const list = hub.presence.release(connection, topic);
  return list === undefined ? {} : listFields(list);
}
