import type { EnqueueOutcome } from "./work-queue.ts";

/** JetStream's code for a message beyond the stream's own limit. */
const MESSAGE_TOO_LARGE = 10_054;

/** Parses the reply to a message for `stream`. Any subscriber of its subject may have sent it. */
export function parsePublishAck(text: string, stream: string): EnqueueOutcome {
  const reply = parseObject(text);
  if (reply === undefined) return { ok: false, reason: "unavailable", detail: "invalid reply from JetStream" };
  if (reply.error === undefined && reply.stream === stream) return { ok: true };
  const { err_code: code, description } = isObject(reply.error) ? reply.error : {};
  const detail = typeof description === "string" ? description : "stored by another stream";
  return { ok: false, reason: code === MESSAGE_TOO_LARGE ? "too-large" : "unavailable", detail };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
