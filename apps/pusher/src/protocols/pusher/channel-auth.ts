import { isName, isSmallInfo, MAX_INFO_BYTES, MAX_NAME_BYTES } from "@fanwire/protocol";
import {
  channelKind,
  channelSignature,
  isChannelName,
  SERVER_TO_USER,
  verifySignedAuth,
} from "@fanwire/pusher-protocol";
import type { Member } from "../../wire/presence.ts";
import { parseObject, type SubscriptionProblem } from "../../wire/pusher-frames.ts";
import type { PusherSession } from "./session.ts";
import { MAX_USER_ID } from "./signin.ts";

/** A subscription as a client asks for it. Absent texts are empty for some clients, undefined or null for others. */
export type SubscribeRequest = { readonly channel: string; readonly auth: unknown; readonly channelData: unknown };

export type Authorization =
  | {
      readonly ok: true;
      /** On presence channels, who the client is. */
      readonly member: Member | undefined;
      /** Whether the application has signed the subscription, or the sign-in of its user. */
      readonly isSigned: boolean;
    }
  | { readonly ok: false; readonly problem: SubscriptionProblem };

/** Decides whether a client may subscribe to a channel, by the signature of its application. */
export function authorizeChannel(session: PusherSession, request: SubscribeRequest): Authorization {
  const { channel } = request;
  if (channel.startsWith(SERVER_TO_USER)) {
    const isOwn = session.user?.id === channel.slice(SERVER_TO_USER.length);
    return isOwn ? { ok: true, member: undefined, isSigned: true } : denied("only the signed-in user has this channel");
  }
  if (!isChannelName(channel)) return invalid("channel must be 1 to 200 letters, digits and _ - = @ , . ;");
  const { isPrivate, isPresence } = channelKind(channel);
  if (isPresence) return authorizePresence(session, request);
  if (!isPrivate) return { ok: true, member: undefined, isSigned: false };
  return isPrivateSigned(session, request) ? { ok: true, member: undefined, isSigned: true } : denied(BAD_SIGNATURE);
}

/** SDKs also sign the data that an application passes for a private channel by mistake. */
function isPrivateSigned(session: PusherSession, request: SubscribeRequest): boolean {
  const { channelData } = request;
  if (isSigned(session, request, undefined)) return true;
  return typeof channelData === "string" && isSigned(session, request, channelData);
}

const BAD_SIGNATURE = "the signature is not valid for this connection and channel";

function authorizePresence(session: PusherSession, request: SubscribeRequest): Authorization {
  const { channelData } = request;
  if (typeof channelData !== "string" || channelData === "") {
    const { user } = session;
    if (user === undefined) return denied("a presence channel needs channel_data or a signed-in user");
    if (!isSigned(session, request, undefined)) return denied(BAD_SIGNATURE);
    return withMember({ user: user.id, info: user.info });
  }
  if (!isSigned(session, request, channelData)) return denied(BAD_SIGNATURE);
  const data = parseObject(channelData);
  const user = userIdFrom(data?.user_id);
  if (user === undefined) {
    return invalid("user_id of channel_data must be a text that is not empty, or a whole number below 2^53");
  }
  return withMember({ user, info: data?.user_info });
}

function withMember(member: Member): Authorization {
  const { user, info } = member;
  if (user.length > MAX_USER_ID || !isName(user))
    return invalid(`a user id has 1 to ${MAX_USER_ID} characters and at most ${MAX_NAME_BYTES} bytes`);
  return isSmallInfo(info)
    ? { ok: true, member, isSigned: true }
    : invalid(`user_info has at most ${MAX_INFO_BYTES} bytes`);
}

/**
 * Returns an id as text. Larger numbers are refused, because `JSON.parse` rounds them, and two users would share an id.
 */
function userIdFrom(id: unknown): string | undefined {
  if (typeof id === "number") return Number.isSafeInteger(id) ? String(id) : undefined;
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** Checks the signature over the text as received. */
function isSigned(
  { app, socketId }: PusherSession,
  { auth, channel }: SubscribeRequest,
  channelData: string | undefined,
): boolean {
  if (typeof auth !== "string") return false;
  return verifySignedAuth(auth, app.keys, (secret) => channelSignature(secret, { socketId, channel, channelData }));
}

function denied(message: string): Authorization {
  return { ok: false, problem: { type: "AuthError", status: 401, message } };
}

function invalid(message: string): Authorization {
  return { ok: false, problem: { type: "InvalidChannel", status: 400, message } };
}
