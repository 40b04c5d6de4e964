import { streamHeaderNames } from "@fanwire/protocol";
import type { BusMessage } from "../connection/bus.ts";

/** Place of a republished or directly fetched message in the stream. */
export type StoredPlace = { readonly sequence: number; readonly subject: string };

/**
 * Returns the place in the stream that the headers name; undefined for a live publication. A message that names another
 * stream is live, because foreign streams may republish to our subjects, and publishers may copy headers.
 */
export function storedPlace({ headers }: BusMessage, stream: string): StoredPlace | undefined {
  if (headers === undefined || headers.get(streamHeaderNames.stream) !== stream) return undefined;
  const sequence = Number(headers.get(streamHeaderNames.sequence));
  const subject = headers.get(streamHeaderNames.subject);
  return Number.isSafeInteger(sequence) && sequence > 0 && subject !== "" ? { sequence, subject } : undefined;
}
