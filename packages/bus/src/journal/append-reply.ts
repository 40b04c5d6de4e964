import { parseStoreReply } from "../connection/store-reply.ts";

/** A write or description that failed. After a failed write, the message may be stored or not. */
export class JournalError extends Error {
  override name = "JournalError";
}

/**
 * Returns the sequence from the reply to a stored message.
 *
 * @throws JournalError when the reply does not confirm that the stream stored the message.
 */
export function parseAppendReply(text: string, stream: string): number {
  const reply = parseStoreReply(text, stream);
  if (reply.kind === "refused") throw new JournalError(String(reply.error.description));
  if (reply.kind !== "stored") throw new JournalError(reply.detail);
  if (reply.sequence === 0) throw new JournalError("JetStream named no sequence");
  return reply.sequence;
}
