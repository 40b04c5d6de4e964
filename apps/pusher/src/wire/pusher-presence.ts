import type { Member, PresenceChange } from "./presence.ts";
import { channelOfTopic, pusherFrame } from "./pusher-frames.ts";

/** Texts of lists. Hundreds of clients may receive the same one in a tick, and it may have thousands of members. */
const texts = new WeakMap<readonly Member[], string>();

/** Returns `data` of a successful subscription to a presence channel. The list must not change afterwards. */
export function presenceData(members: readonly Member[]): string {
  const text = texts.get(members) ?? encodeMembers(members);
  texts.set(members, text);
  return text;
}

function encodeMembers(members: readonly Member[]): string {
  const ids = members.map(({ user }) => JSON.stringify(user));
  // Text, because ids such as `__proto__` are no keys of a plain object. A member without a key does not exist for
  // clients.
  const hash = members.map(({ user, info }) => `${JSON.stringify(user)}:${infoText(info)}`);
  return `{"presence":{"ids":[${ids.join()}],"hash":{${hash.join()}},"count":${members.length}}}`;
}

/** Returns a frame for each member that appeared or disappeared. */
export function presenceFrames({ topic, joined, left }: PresenceChange): string[] {
  const channel = channelOfTopic(topic);
  const added = joined.map(({ user, info }) => {
    const data = `{"user_id":${JSON.stringify(user)}${info === undefined ? "" : `,"user_info":${infoText(info)}`}}`;
    return pusherFrame({ event: "pusher_internal:member_added", channel, data });
  });
  const removed = left.map(({ user }) =>
    pusherFrame({ event: "pusher_internal:member_removed", channel, data: JSON.stringify({ user_id: user }) }),
  );
  return [...added, ...removed];
}

function infoText(info: unknown): string {
  return JSON.stringify(info) ?? "null";
}
