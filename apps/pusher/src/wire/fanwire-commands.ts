import { isHeaderName, isReservedEvent, isTopic, isTopicPattern } from "@fanwire/protocol";
import { writtenId } from "./command-id.ts";

/** A command of a fanwire.v1 client. */
export type Command =
  | {
      readonly command: "subscribe";
      readonly topic: string;
      readonly since: string | undefined;
      /** Undefined: the presence of the connection stays as it is. */
      readonly isPresent: boolean | undefined;
    }
  | { readonly command: "unsubscribe"; readonly topic: string }
  | { readonly command: "publish"; readonly topic: string; readonly data: string; readonly event: string | undefined }
  | { readonly command: "refresh"; readonly token: string; readonly since: string | undefined }
  | { readonly command: "ping" };

/** The id that the client chose, as JSON text, so that the reply repeats it exactly. */
export type CommandId = string;

export type CommandErrorCode =
  | "unknown-command"
  | "invalid"
  | "forbidden"
  | "topic-limit"
  | "unauthorized"
  | "too-large"
  | "unavailable";

export type ParsedCommand =
  | { readonly ok: true; readonly id: CommandId; readonly command: Command }
  /** Is answered with an error. */
  | { readonly ok: false; readonly id: CommandId; readonly code: CommandErrorCode; readonly message: string }
  /** Cannot be answered, because it has no id. */
  | { readonly ok: false; readonly id: undefined };

/** Maximum characters of a text, or digits of a number. */
const MAX_ID_LENGTH = 64;

/** Parses one message of a client, which must be a JSON object with `command` and `id`. */
export function parseCommand(text: string): ParsedCommand {
  const message = parseObject(text);
  const id = message && idOf(message.id, text);
  if (message === undefined || id === undefined || typeof message.command !== "string") {
    return { ok: false, id: undefined };
  }

  const invalid = (problem: string): ParsedCommand => ({ ok: false, id, code: "invalid", message: problem });
  const { topic, data, event, token, since, presence } = message;
  switch (message.command) {
    case "ping":
      return { ok: true, id, command: { command: "ping" } };
    case "refresh":
      if (typeof token !== "string") return invalid("token must be text");
      if (since !== undefined && typeof since !== "string") return invalid("since must be a position");
      return { ok: true, id, command: { command: "refresh", token, since } };
    case "subscribe":
    case "unsubscribe":
      if (typeof topic !== "string" || !isTopicPattern(topic)) {
        return invalid("topic must be a topic or a pattern of 1 to 255 bytes");
      }
      if (message.command === "unsubscribe") return { ok: true, id, command: { command: "unsubscribe", topic } };
      if (since !== undefined && typeof since !== "string") return invalid("since must be a position");
      if (presence !== undefined && typeof presence !== "boolean") return invalid("presence must be true or false");
      if (presence && !isTopic(topic)) return invalid("presence needs a topic, no pattern");
      return { ok: true, id, command: { command: "subscribe", topic, since, isPresent: presence } };
    case "publish":
      if (typeof topic !== "string" || !isTopic(topic))
        return invalid("topic must be a topic of 1 to 255 bytes, no pattern");
      if (typeof data !== "string" || /\p{Surrogate}/u.test(data)) return invalid("data must be text");
      if (event !== undefined && (typeof event !== "string" || !isHeaderName(event))) {
        return invalid("event must be 1 to 255 bytes without control characters or outer spaces");
      }
      if (event !== undefined && isReservedEvent(event))
        return invalid("events named fanwire.… are reserved for workers");
      return { ok: true, id, command: { command: "publish", topic, data, event } };
    default:
      return { ok: false, id, code: "unknown-command", message: "unknown command" };
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    // A JSON object has text keys. The caller checks their values.
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function idOf(id: unknown, text: string): CommandId | undefined {
  if (typeof id === "string") return id.length <= MAX_ID_LENGTH ? JSON.stringify(id) : undefined;
  if (typeof id !== "number" || !Number.isFinite(id)) return undefined;
  // Most clients write the id first.
  const written = text.startsWith(`{"id":${id},`) ? String(id) : writtenId(text);
  return written !== undefined && written.length <= MAX_ID_LENGTH ? written : undefined;
}
