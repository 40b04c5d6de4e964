import { DEFAULT_EVENT, type NotRecovered } from "@fanwire/protocol";
import type { CommandErrorCode, CommandId } from "./fanwire-commands.ts";
import type { PublicationText } from "./publication.ts";

const DEFAULT_EVENT_JSON = JSON.stringify(DEFAULT_EVENT);

/**
 * Returns a publication as a fanwire.v1 message. Does not use `JSON.stringify` on an object, because this is the hot
 * path.
 */
export function encodeFanwire(publication: PublicationText): string {
  const { data, isBinary, event, id, position, topic, subscription, isRecovered, since, resume } = publication;
  return `{"type":"publication"${member("position", position)}${member("topic", topic)}${member(
    "subscription",
    subscription,
  )},"event":${event === undefined ? DEFAULT_EVENT_JSON : JSON.stringify(event)}${member("id", id)},"data":${JSON.stringify(data)}${
    isBinary ? ',"encoding":"base64"' : ""
  }${isRecovered ? ',"recovered":true' : ""}${member("since", since)}${member("resume", resume)}}`;
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
}

export type Welcome = {
  readonly connection: string;
  readonly position: string | undefined;
  readonly recovered: boolean | null;
  /** Why recovery failed. */
  readonly reason?: NotRecovered;
};

export function encodeWelcome({ connection, position, recovered, reason }: Welcome): string {
  const welcome = { type: "welcome", connection, ...(position !== undefined && { position }), recovered };
  return JSON.stringify(reason === undefined ? welcome : { ...welcome, reason });
}

export function encodeReply(id: CommandId, more: Readonly<Record<string, unknown>> = {}): string {
  return encodeReplyWith(id, { ok: true, ...more });
}

export function encodeErrorReply(id: CommandId, code: CommandErrorCode, message: string): string {
  return encodeReplyWith(id, { ok: false, error: { code, message } });
}

function encodeReplyWith(id: CommandId, members: Readonly<Record<string, unknown>>): string {
  return `{"type":"reply","id":${id},${JSON.stringify(members).slice(1)}`;
}
