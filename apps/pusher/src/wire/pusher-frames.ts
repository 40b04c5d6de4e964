import { NAMESPACE_PREFIX } from "@fanwire/protocol";

/** A frame of a Pusher client. The values are unchecked. */
export type PusherFrame = { readonly event: string; readonly channel: unknown; readonly data: unknown };

/** Parses a frame; returns undefined if it is no JSON object with an event. */
export function parsePusherFrame(text: string): PusherFrame | undefined {
  const frame = parseObject(text);
  if (typeof frame?.event !== "string") return undefined;
  return { event: frame.event, channel: frame.channel, data: frame.data };
}

/** Returns `data` of a command, which some clients send as JSON text; undefined if it is no object. */
export function commandData(data: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof data === "string" ? parseObject(data) : asObject(data);
}

/** Parses a JSON object; returns undefined for any other text. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  // A JSON object has text keys. The caller checks their values.
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Whether only servers send events with this name. */
export function isReservedPusherEvent(event: string): boolean {
  return event.startsWith("pusher:") || event.startsWith("pusher_internal:");
}

/** Returns the channel of a topic: the topic without the namespace of an app. */
export function channelOfTopic(topic: string): string {
  if (!topic.startsWith(NAMESPACE_PREFIX)) return topic;
  return topic.slice(topic.indexOf("/", NAMESPACE_PREFIX.length) + 1);
}

/**
 * Returns a frame with text as `data`. Does not stringify an object, because each publication to Pusher clients is
 * encoded here.
 */
export function pusherFrame({
  event,
  channel,
  data,
  userId,
}: {
  readonly event: string;
  readonly channel?: string | undefined;
  readonly data: string;
  readonly userId?: string | undefined;
}): string {
  return `{"event":${JSON.stringify(event)}${member("channel", channel)},"data":${JSON.stringify(data)}${member("user_id", userId)}}`;
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
}

/** Returns the first frame of a connection. */
export function connectionEstablished(socketId: string, activityTimeout: number): string {
  const data = JSON.stringify({ socket_id: socketId, activity_timeout: activityTimeout });
  return pusherFrame({ event: "pusher:connection_established", data });
}

export const PONG = pusherFrame({ event: "pusher:pong", data: "{}" });

/** A code is null if the protocol has none for the error. */
export function pusherError(code: number | null, message: string): string {
  return JSON.stringify({ event: "pusher:error", data: { code, message } });
}

export type SubscriptionProblem = {
  /** The form in which other Pusher servers send it. */
  readonly type: "AuthError" | "LimitReached" | "InvalidChannel" | "ServerError";
  /** Like an HTTP status. */
  readonly status: number;
  readonly message: string;
};

export function subscriptionError(channel: string, { type, status, message }: SubscriptionProblem): string {
  return JSON.stringify({ event: "pusher:subscription_error", channel, data: { type, error: message, status } });
}

/** `data` is JSON text. */
export function subscriptionSucceeded(channel: string, data = "{}"): string {
  return pusherFrame({ event: "pusher_internal:subscription_succeeded", channel, data });
}

export function cacheMiss(channel: string): string {
  return JSON.stringify({ event: "pusher:cache_miss", channel });
}

export function subscriptionCount(channel: string, count: number): string {
  const data = JSON.stringify({ subscription_count: count });
  return pusherFrame({ event: "pusher_internal:subscription_count", channel, data });
}

export function signinSuccess(userData: string): string {
  return JSON.stringify({ event: "pusher:signin_success", data: { user_data: userData } });
}

export function watchlistEvents(changes: {
  readonly online: readonly string[];
  readonly offline: readonly string[];
}): string {
  const events = (["online", "offline"] as const).flatMap((name) =>
    changes[name].length === 0 ? [] : { name, user_ids: changes[name] },
  );
  return pusherFrame({ event: "pusher_internal:watchlist_events", data: JSON.stringify({ events }) });
}
