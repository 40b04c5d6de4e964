import { isJsonObject, type JsonObject, parseJsonObject } from "./json-object.ts";

/** JetStream's code for a message beyond the stream's own limit. */
export const MESSAGE_TOO_LARGE = 10_054;

/** JetStream's reply to a message that was to be stored. `foreign`: another stream has stored it, or may have. */
export type StoreReply =
  | { readonly kind: "stored"; readonly sequence: number; readonly isDuplicate: boolean }
  | { readonly kind: "refused"; readonly error: JsonObject }
  | { readonly kind: "invalid" | "foreign"; readonly detail: string };

const INVALID: StoreReply = { kind: "invalid", detail: "invalid reply from JetStream" };

/** Parses the reply to a message for `stream`. Any subscriber of its subject may have sent it. */
export function parseStoreReply(text: string, stream: string): StoreReply {
  const reply = parseJsonObject(text);
  if (reply === undefined) return INVALID;
  const { error, stream: storedBy, seq: sequence, duplicate } = reply;
  if (error !== undefined) return isJsonObject(error) ? { kind: "refused", error } : INVALID;
  if (storedBy !== stream || typeof sequence !== "number")
    return { kind: "foreign", detail: `stored by another stream: ${typeof storedBy === "string" ? storedBy : "?"}` };
  return { kind: "stored", sequence, isDuplicate: duplicate === true };
}
