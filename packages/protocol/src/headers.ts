import { isHeaderName } from "./names.ts";

/** Names of the NATS headers of a publication. All are optional. */
export const headerNames = {
  /** Name of the event; {@link DEFAULT_EVENT} when absent. */
  event: "Event",
  /** Address of a connection that must not receive the publication. */
  except: "Except",
  /** The publisher's own id of the publication. */
  id: "Id",
  /** Id of the receipt, for which workers count the receiving connections. */
  receipt: "Receipt",
  /** Bridge that published it: {@link VIA_CHANNEL}. This bridge does not forward it back. */
  via: "Via",
  /**
   * The member who sent a client event to a presence channel, as {@link encodeHeaderName} writes it. Set by workers.
   */
  user: "User",
} as const;

/** Names of the headers that JetStream reads, and of those that it adds to republished messages. */
export const streamHeaderNames = {
  /** Deduplication id; see {@link messageId}. */
  messageId: "Nats-Msg-Id",
  /** Stream of a republished message. */
  stream: "Nats-Stream",
  /** Subject under which it is stored. */
  subject: "Nats-Subject",
  /** Sequence in the stream. */
  sequence: "Nats-Sequence",
} as const;

/**
 * Returns the deduplication id of a publication. The publisher's id alone is not enough, because JetStream compares ids
 * over the whole stream: the second of two publications with one id to two targets would be lost.
 *
 * @param subject of the history. It holds no space, so that no two pairs share an id.
 */
export function messageId(subject: string, id: string): string {
  return `${subject} ${id}`;
}

/** Value of {@link headerNames.via} for publications of Workerman peers, through a channel server. */
export const VIA_CHANNEL = "channel";

export const DEFAULT_EVENT = "message";

/** Returns a name as the value of a header. Names that a header cannot hold are percent-encoded. */
export function encodeHeaderName(name: string): string {
  return isHeaderName(name) && !name.includes("%") ? name : encodeURIComponent(name);
}

/** Reverses {@link encodeHeaderName}. A value that it never writes is returned as it is. */
export function decodeHeaderName(value: string): string {
  if (!value.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

const RESERVED_PREFIX = "fanwire.";

/** Whether only workers send this event, so that readers can distinguish it from events of the application. */
export function isReservedEvent(event: string): boolean {
  return event.startsWith(RESERVED_PREFIX);
}
