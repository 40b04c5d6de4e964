import { isJsonObject, parseJsonObject } from "../connection/json-object.ts";
import type { EnqueueOutcome } from "./work-queue.ts";

/** JetStream's code for a message beyond the stream's own limit. */
const MESSAGE_TOO_LARGE = 10_054;

/** Parses the reply to a message for `stream`. Any subscriber of its subject may have sent it. */
export function parsePublishAck(text: string, stream: string): EnqueueOutcome {
  const reply = parseJsonObject(text);
  if (reply === undefined) return { ok: false, reason: "unavailable", detail: "invalid reply from JetStream" };
  if (reply.error === undefined && reply.stream === stream) return { ok: true };
  const { err_code: code, description } = isJsonObject(reply.error) ? reply.error : {};
  const detail = typeof description === "string" ? description : "stored by another stream";
  return { ok: false, reason: code === MESSAGE_TOO_LARGE ? "too-large" : "unavailable", detail };
}
