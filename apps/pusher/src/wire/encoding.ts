import { DEFAULT_EVENT, isReservedEvent, type NotRecovered } from "@fanwire/protocol";
import type { CommandErrorCode, CommandId } from "./fanwire-commands.ts";
import type { PublicationText } from "./publication.ts";

const DEFAULT_EVENT_JSON = JSON.stringify(DEFAULT_EVENT);

/** Returns a publication as a fanwire.v1 message. Does not use `JSON.stringify` on an object, because this is the hot path. */
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

/** The event of streams that tells of the members of a topic. */
export const PRESENCE_EVENT = "fanwire.presence";

/** The event of publications whose content is not UTF-8. */
const BINARY_EVENT = "fanwire.binary";

/** Events that an EventSource dispatches itself. A publication with such an event would call `onerror` or `onopen`. */
const EVENT_SOURCE_EVENTS: ReadonlySet<string> = new Set(["error", "open"]);
/** Prefix of application events whose name an EventSource or a worker uses itself. */
const ESCAPE_PREFIX = "fanwire.event.";

/** Returns a publication as a server-sent event. */
export function encodeSse({ data, isBinary, event, position }: PublicationText, id = position): string {
  return sseEvent({ id, event: isBinary ? BINARY_EVENT : sseEventName(event), data });
}

function sseEventName(event: string | undefined): string | undefined {
  if (event === undefined || event === DEFAULT_EVENT) return undefined;
  // NATS accepts single CR and LF characters in headers. An application that publishes to NATS must not add fields to the stream.
  const name = event.replaceAll(/[\r\n]/g, " ");
  return isReservedEvent(name) || EVENT_SOURCE_EVENTS.has(name) ? ESCAPE_PREFIX + name : name;
}

/** Returns the field that sets how long a reader waits before it reconnects. The value remains in force on later streams. */
export function sseRetry(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** Returns a server-sent event. `id` and `event` must not contain CR or LF. */
export function sseEvent(fields: {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly data: string;
}): string {
  const { id, event, data } = fields;
  // The standard has three line ends. A reader joins the lines with \n.
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${id === undefined ? "" : `id: ${id}\n`}${name}${lines.join("")}\n`;
}
