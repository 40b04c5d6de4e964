import { isName, NAMESPACE_PREFIX } from "@fanwire/protocol";

/** The type of a channel, which the prefix of its name decides. */
export type ChannelKind = {
  readonly isPrivate: boolean;
  readonly isPresence: boolean;
  readonly isEncrypted: boolean;
  /** New subscribers receive the last published event. */
  readonly isCache: boolean;
};

/** Channels of one signed-in user begin with this; the rest is the user id. */
export const SERVER_TO_USER = "#server-to-user-";

/** Time for which a cache channel keeps its last event, as documented by Pusher. */
export const CACHE_SECONDS = 1_800;

const MAX_CHANNEL_NAME = 200;
const CHANNEL_NAME = /^[A-Za-z0-9_\-=@,.;]+$/;
const KIND = /^(?:(private)-(encrypted-)?|(presence)-)?(cache-)?/;

/** Returns whether a channel can have this name, those of users excluded. */
export function isChannelName(name: string): boolean {
  return name.length <= MAX_CHANNEL_NAME && CHANNEL_NAME.test(name);
}

export function channelKind(name: string): ChannelKind {
  const [, isPrivate, isEncrypted, isPresence, isCache] = KIND.exec(name) ?? [];
  return {
    isPrivate: isPrivate !== undefined,
    isPresence: isPresence !== undefined,
    isEncrypted: isEncrypted !== undefined,
    isCache: isCache !== undefined,
  };
}

/** An app's namespace; empty: it shares its topics with all other clients. */
type Namespaced = { readonly namespace: string };

/** Returns the topic of a channel. Without a namespace the names are equal. */
export function topicOf(app: Namespaced, channel: string): string {
  return prefixOf(app) + channel;
}

/** Returns the channel of a topic, or undefined when the app has no such channel. */
export function channelOf(app: Namespaced, topic: string): string | undefined {
  const name = withoutPrefix(app, topic);
  return name !== undefined && isChannelName(name) ? name : undefined;
}

/** Returns the user of the cluster for a user id of the app; undefined if it is no legal id. */
export function userOf(app: Namespaced, userId: string): string | undefined {
  const user = prefixOf(app) + userId;
  // Otherwise an id could name the user of another app.
  const isForeign = app.namespace === "" && userId.startsWith(NAMESPACE_PREFIX);
  return userId !== "" && isName(user) && !isForeign ? user : undefined;
}

function prefixOf({ namespace }: Namespaced): string {
  return namespace === "" ? "" : `${NAMESPACE_PREFIX}${namespace}/`;
}

function withoutPrefix(app: Namespaced, name: string): string | undefined {
  const prefix = prefixOf(app);
  if (prefix === "") return name.startsWith(NAMESPACE_PREFIX) ? undefined : name;
  return name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
}
