import { DEFAULT_EVENT, isReservedEvent } from "@fanwire/protocol";
import type { PublicationText } from "./publication.ts";

/** The event of streams that has the members of a topic, or a change of them. */
export const PRESENCE_EVENT = "fanwire.presence";

/** Lines that an EventSource ignores. */
export const SSE_COMMENT = ": \n\n";

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
  // NATS accepts single CR and LF characters in headers. An application that publishes to NATS must not add fields to
  // the stream.
  const name = event.replaceAll(/[\r\n]/g, " ");
  return isReservedEvent(name) || EVENT_SOURCE_EVENTS.has(name) ? ESCAPE_PREFIX + name : name;
}

/**
 * Returns the field that sets how long a reader waits before it reconnects. The value remains in force on later
 * streams.
 */
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
  // The standard has three line ends. A reader puts \n between the lines.
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${id === undefined ? "" : `id: ${id}\n`}${name}${lines.join("")}\n`;
}
