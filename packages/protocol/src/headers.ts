/** Names of the NATS headers a publication may carry beside its content. All are optional. */
export const headerNames = {
  /** The application's name for the publication; {@link DEFAULT_EVENT} when absent. */
  event: "Event",
  /** Address of a connection that must not get it. */
  except: "Except",
  /** The publisher's own id for it. */
  id: "Id",
  /** Under which id its receipt is asked for: workers count who gets it. */
  receipt: "Receipt",
  /** The bridge it came over: {@link VIA_CHANNEL}. That bridge does not carry it back. */
  via: "Via",
} as const;

/** Names of the headers that JetStream reads, and those it adds to what the history republishes. */
export const streamHeaderNames = {
  /** What the history de-duplicates by; see {@link messageId}. */
  messageId: "Nats-Msg-Id",
  /** The stream that a message was republished from. */
  stream: "Nats-Stream",
  /** The subject under which it is stored. */
  subject: "Nats-Subject",
  /** Its sequence in the stream. */
  sequence: "Nats-Sequence",
} as const;

/**
 * What the history de-duplicates a publication by. The publisher's id alone would not do: JetStream compares ids over the whole
 * log, so of two publications with one id to two targets the second would be taken for the first and lost.
 *
 * @param subject of the history; holds no space, so that no two pairs share an id.
 */
export function messageId(subject: string, id: string): string {
  return `${subject} ${id}`;
}

/** Came from a Workerman peer, through a channel server. */
export const VIA_CHANNEL = "channel";

export const DEFAULT_EVENT = "message";

const RESERVED_PREFIX = "fanwire.";

/** Whether only workers send this event: a reader must be able to tell it from those of the application. */
export function isReservedEvent(event: string): boolean {
  return event.startsWith(RESERVED_PREFIX);
}
