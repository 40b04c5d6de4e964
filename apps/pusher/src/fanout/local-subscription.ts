import type { BusMessage } from "@fanwire/bus";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { SmallSet } from "../connections/small-set.ts";

/** A connection that is subscribed and not live yet. */
export type WaitingConnection = {
  readonly connectionId: number;
  /** Whether it waits no longer: it is live, has unsubscribed, or has closed. */
  readonly hasLeft: boolean;
};

/** A subscription of this worker, as fan-out needs it. */
export type LocalSubscription = {
  readonly kind: "everyone" | "user" | "topic";
  /** The topic or pattern. */
  readonly pattern: string | undefined;
  /** The user, if it is the subscription to one. */
  readonly user: string | undefined;
  /** The connections of a user. */
  readonly connectionIds: SmallSet<number>;
  /** Identifies its groups. */
  readonly groupId: number;
  /** Connections that are subscribed, live or not. */
  readonly subscribers: number;
  /** Some subscribers are not live yet: they receive publications when they have recovered. */
  readonly hasWaitingSubscribers: boolean;
  readonly waiting: Iterable<WaitingConnection>;
  /** The subscriber, if it is the only one and live. It is in no group. */
  readonly soleSubscriber: Connection | undefined;
  subscribersBy(protocol: ClientProtocol): number;
  /** Returns whether a connection is live, so that the subscription delivers to it. */
  has(connection: Connection): boolean;
  /** Returns the topic of a message, or undefined if it was not published to a topic. */
  topicOf(message: BusMessage): string | undefined;
};
