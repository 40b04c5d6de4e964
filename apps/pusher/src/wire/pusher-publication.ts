import { DEFAULT_EVENT } from "@fanwire/protocol";
import type { Publication } from "./publication.ts";
import { channelOfTopic, isReservedPusherEvent, pusherFrame } from "./pusher-frames.ts";

const SERVER_TO_USER = "#server-to-user-";
const CLIENT_EVENT = "client-";

/**
 * Returns a publication as a frame of the Pusher protocol. Returns undefined for content that is not UTF-8, and for
 * events that only servers send, because clients would believe them.
 */
export function encodePusher(publication: Publication): string | undefined {
  const { text } = publication;
  const event = text.event ?? DEFAULT_EVENT;
  if (text.isBinary || isReservedPusherEvent(event)) return undefined;
  const channel = channelOf(publication);
  const userId = event.startsWith(CLIENT_EVENT) && channel?.startsWith("presence-") ? publication.sender : undefined;
  return pusherFrame({ event, channel, data: text.data, userId });
}

/**
 * Returns undefined for publications to everyone and to one connection, which clients receive as events without a
 * channel.
 */
function channelOf({ target, text, user }: Publication): string | undefined {
  if (target === "user") return user === undefined ? undefined : SERVER_TO_USER + channelOfTopic(user);
  return text.topic === undefined ? undefined : channelOfTopic(text.topic);
}
