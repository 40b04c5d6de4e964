import { DEFAULT_EVENT, isReservedEvent, type NotRecovered } from "@fanwire/protocol";
import type { CommandErrorCode, CommandId } from "./fanwire-commands.ts";

/** A publication on its way to the connections of one subscription. */
export type Delivered = {
  /** The content as text, when it is valid UTF-8; else its base64. */
  readonly data: string;
  readonly isBinary: boolean;
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly position: string | undefined;
  readonly topic: string | undefined;
  /** The pattern, when the topic was followed by one. */
  readonly subscription: string | undefined;
};

const DEFAULT_EVENT_JSON = JSON.stringify(DEFAULT_EVENT);

type More = {
  readonly isRecovered?: boolean;
  /** The position of its subscription alone, as long as that catches up. */
  readonly since?: string | undefined;
  /** Where a connection resumes that has this copy of the publication and not all. */
  readonly resume?: string | undefined;
};

/**
 * A publication in fanwire.v1. Written by hand, since it is once per publication on the
 * hot path.
 */
export function encodeFanwire(delivered: Delivered, more: More = {}): string {
  const { data, isBinary, event, id, position, topic, subscription } = delivered;
  return `{"type":"publication"${member("position", position)}${member("topic", topic)}${member(
    "subscription",
    subscription,
  )},"event":${event === undefined ? DEFAULT_EVENT_JSON : JSON.stringify(event)}${member("id", id)},"data":${JSON.stringify(data)}${
    isBinary ? ',"encoding":"base64"' : ""
  }${more.isRecovered ? ',"recovered":true' : ""}${member("since", more.since)}${member("resume", more.resume)}}`;
}

function member(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
}

export type Welcome = {
  readonly connection: string;
  readonly position: string | undefined;
  readonly recovered: boolean | null;
  /** Why not recovered. */
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

/** Event of an SSE publication whose content is not UTF-8. */
const BINARY_EVENT = "fanwire.binary";

/** Events that an EventSource dispatches itself: a publication named so would call `onerror` or `onopen`. */
const EVENT_SOURCE_EVENTS: ReadonlySet<string> = new Set(["error", "open"]);
/** Precedes the application's name for an event where a reader would take it for an event of EventSource's own or of the worker's. */
const ESCAPE_PREFIX = "fanwire.event.";

/** A publication as a server-sent event. */
export function encodeSse({ data, isBinary, event, position }: Delivered): string {
  return sseEvent({ id: position, event: isBinary ? BINARY_EVENT : sseEventName(event), data });
}

function sseEventName(event: string | undefined): string | undefined {
  if (event === undefined || event === DEFAULT_EVENT) return undefined;
  // NATS takes half a line end in a header: whoever publishes there himself must not write fields of the stream with it.
  const name = event.replaceAll(/[\r\n]/g, " ");
  return isReservedEvent(name) || EVENT_SOURCE_EVENTS.has(name) ? ESCAPE_PREFIX + name : name;
}

/** How long a reader waits before it reconnects. It keeps the last value that it was sent, on later streams too. */
export function sseRetry(ms: number): string {
  return `retry: ${ms}\n\n`;
}

/** `id` and `event` hold no line end. */
export function sseEvent(fields: {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly data: string;
}): string {
  const { id, event, data } = fields;
  // The three line ends of the standard; a reader joins the lines with \n again.
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${id === undefined ? "" : `id: ${id}\n`}${name}${lines.join("")}\n`;
}
