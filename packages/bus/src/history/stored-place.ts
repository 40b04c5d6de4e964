import { streamHeaderNames } from "@fanwire/protocol";
import type { BusMessage } from "../connection/bus.ts";

/** Where a republished or directly gotten message is stored. */
export type StoredPlace = { readonly sequence: number; readonly subject: string };

/**
 * The place in the stream that a message names; undefined for a live publication. What names another stream is live: somebody
 * republishes theirs to our subjects, or copies headers.
 */
export function storedPlace({ headers }: BusMessage, stream: string): StoredPlace | undefined {
  if (headers === undefined || headers.get(streamHeaderNames.stream) !== stream) return undefined;
  const sequence = Number(headers.get(streamHeaderNames.sequence));
  const subject = headers.get(streamHeaderNames.subject);
  return Number.isSafeInteger(sequence) && sequence > 0 && subject !== "" ? { sequence, subject } : undefined;
}
