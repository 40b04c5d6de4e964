import { channelKind, type PusherApp, topicOf } from "@fanwire/pusher-protocol";
import type { Cluster } from "../../cluster/cluster-client.ts";
import type { Failure } from "../../cluster/failure.ts";
import type { Attribute } from "./attributes.ts";

/** Attributes of a channel in a reply. */
export type ChannelInfo = { readonly user_count?: number; readonly subscription_count?: number };

type Subscribed = {
  readonly name: string;
  /** Connections that are subscribed to the channel, by any protocol. */
  readonly connections: number;
};

/**
 * Counts the connections that are subscribed to each channel.
 *
 * @returns a failure if some worker has not answered, because counts would be too low.
 */
export async function countConnections(
  cluster: Cluster,
  app: PusherApp,
  channels: readonly string[],
): Promise<{ readonly ok: true; readonly channels: readonly Subscribed[] } | Failure> {
  if (channels.length === 0) return { ok: true, channels: [] };
  const counted = await cluster.lists.countSubscriptions(channels.map((name) => topicOf(app, name)));
  if (!counted.ok) return counted;
  if (counted.complete === false) return { ok: false, reason: "worker-timeout" };
  return { ok: true, channels: channels.map((name, at) => ({ name, connections: counted.connections[at] ?? 0 })) };
}

/** Returns the attributes of channels, in their order, each with those of `wanted` that its kind has. */
export async function channelInfos(
  cluster: Cluster,
  app: PusherApp,
  { channels, wanted }: { readonly channels: readonly Subscribed[]; readonly wanted: ReadonlySet<Attribute> },
): Promise<{ readonly ok: true; readonly infos: readonly ChannelInfo[] } | Failure> {
  const isPresence = (name: string) => channelKind(name).isPresence;
  const present = wanted.has("user_count")
    ? channels.filter(({ name }) => isPresence(name)).map(({ name }) => name)
    : [];
  const users = await cluster.countMembersOf(present.map((name) => topicOf(app, name)));
  if (!users.ok) return users;
  const userCounts = new Map(present.map((name, at) => [name, users.counts[at] ?? 0]));
  const infos = channels.map(({ name, connections }): ChannelInfo => {
    const userCount = userCounts.get(name);
    if (userCount !== undefined) return { user_count: userCount };
    return wanted.has("subscription_count") && !isPresence(name) ? { subscription_count: connections } : {};
  });
  return { ok: true, infos };
}
