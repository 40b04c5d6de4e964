import { isUtf8 } from "node:buffer";
import { type BusMessage, storedPlace } from "@fanwire/bus";
import {
  DEFAULT_EVENT,
  formatConnectionAddress,
  headerNames,
  parseConnectionAddress,
  type Subjects,
  type Target,
} from "@fanwire/protocol";

/** Maximum bytes of the content that a trace shows. */
export const MAX_SHOWN_BYTES = 2_048;
/** Headers of others may be as long as NATS allows. */
const MAX_SHOWN_CHARACTERS = 255;

type TracedTarget =
  | { readonly everyone: true }
  | { readonly topic: string }
  | { readonly user: string }
  | { readonly connection: string };

/** A publication, as a trace shows it. */
export type TracedPublication = {
  readonly at: string;
  readonly target: TracedTarget;
  readonly event: string;
  readonly data: string;
  readonly encoding?: "base64";
  readonly bytes: number;
  readonly durable: boolean;
  readonly position?: string;
  readonly id?: string;
  readonly except?: string;
};

type TraceContext = {
  readonly subjects: Subjects;
  /** Time of arrival: ISO 8601, UTC. */
  readonly at: string;
  /** Returns the position of a stored publication, if it is known. */
  positionOf(sequence: number): string | undefined;
};

/** Returns what a trace shows of a message; undefined for a message to a subject that no publication has. */
export function tracePublication(
  message: BusMessage,
  { subjects, at, positionOf }: TraceContext,
): TracedPublication | undefined {
  const { data, headers } = message;
  const target = subjects.parseLive(message.subject);
  if (target === undefined) return undefined;
  const place = storedPlace(message, subjects.historyStream);
  const position = place && positionOf(place.sequence);
  const header = (name: string) => headers?.get(name).slice(0, MAX_SHOWN_CHARACTERS) || undefined;
  const id = header(headerNames.id);
  const except = header(headerNames.except);
  return {
    at,
    target: describeTarget(target),
    event: header(headerNames.event) ?? DEFAULT_EVENT,
    ...showContent(data),
    bytes: data.length,
    durable: place !== undefined,
    ...(position !== undefined && { position }),
    ...(id !== undefined && { id }),
    ...(except !== undefined && parseConnectionAddress(except) !== undefined && { except }),
  };
}

function describeTarget(target: Target): TracedTarget {
  switch (target.kind) {
    case "everyone":
      return { everyone: true };
    case "topic":
      return { topic: target.topic };
    case "user":
      return { user: target.user };
    case "connection":
      return { connection: formatConnectionAddress(target.connection) };
  }
}

/** Returns the beginning of the content: whole characters if all of it is UTF-8, else base64. */
function showContent(content: Uint8Array): Pick<TracedPublication, "data" | "encoding"> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (!isUtf8(content)) return { data: bytes.subarray(0, MAX_SHOWN_BYTES).toString("base64"), encoding: "base64" };
  return { data: bytes.subarray(0, endOfCharacters(bytes, MAX_SHOWN_BYTES)).toString() };
}

/** Returns the end of the last character that ends within `max` bytes. */
function endOfCharacters(utf8: Uint8Array, max: number): number {
  if (utf8.length <= max) return utf8.length;
  let end = max;
  while (isContinuation(utf8[end])) end--;
  return end;
}

/** Whether a byte of UTF-8 is not the first one of its character. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
