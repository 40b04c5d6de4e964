import { MESSAGE_TOO_LARGE, parseStoreReply } from "../connection/store-reply.ts";
import type { EnqueueOutcome } from "./work-queue.ts";

/** Parses the reply to an item for `stream`. */
export function parsePublishAck(text: string, stream: string): EnqueueOutcome {
  const reply = parseStoreReply(text, stream);
  if (reply.kind === "stored") return { ok: true };
  if (reply.kind !== "refused") return { ok: false, reason: "unavailable", detail: reply.detail };
  const { err_code: code, description } = reply.error;
  const detail = typeof description === "string" ? description : "refused by JetStream";
  return { ok: false, reason: code === MESSAGE_TOO_LARGE ? "too-large" : "unavailable", detail };
}
