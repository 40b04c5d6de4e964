import { isJsonObject, type JsonObject } from "../connection/json-object.ts";

/** A write or description that failed. After a failed write, the message may be stored or not. */
export class JournalError extends Error {
  override name = "JournalError";
}

/**
 * Returns the sequence from the reply to a stored message. Any subscriber of its subject may have sent the reply.
 *
 * @throws JournalError when the reply does not confirm that the stream stored the message.
 */
export function parseAppendReply(reply: JsonObject | undefined, stream: string): number {
  if (reply === undefined) throw new JournalError("invalid reply from JetStream");
  if (isJsonObject(reply.error)) throw new JournalError(String(reply.error.description));
  if (reply.stream !== stream) throw new JournalError("stored by another stream");
  if (typeof reply.seq !== "number" || reply.seq === 0) throw new JournalError("JetStream named no sequence");
  return reply.seq;
}
