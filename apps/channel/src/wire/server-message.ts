import type { Steps } from "../data/steps.ts";
import type { ClassRule } from "../php/classes.ts";
import { isSafe } from "../php/safe-values.ts";
import { readArrayKey } from "../php/scalars.ts";
import { Scanner } from "../php/scanner.ts";
import { headerBytes, maxFrameBytes } from "./frames.ts";

/**
 * The value slot of `data` in every message we send: 1 is the message, 2 its type, 3 the channel. Back-references
 * inside `data` are numbered for this slot.
 */
export const replyDataSlot = 4;

const eventHead = Buffer.from('a:3:{s:4:"type";s:5:"event";s:7:"channel";');
const queueHead = Buffer.from('a:3:{s:4:"type";s:5:"queue";s:7:"channel";');
const dataKey = Buffer.from('s:4:"data";');
const tail = Buffer.from("}");

/**
 * Returns the payload of an event frame, or `undefined` if it exceeds the largest frame. Name and data are serialized
 * values. The name has its publisher's form. Origin: walkor/channel `src/Server.php`.
 */
export function encodeEvent(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeReply(eventHead, name, data);
}

/**
 * Returns the payload of a queue item frame. The name has the form that first created the queue.
 * Origin: walkor/channel `src/Queue.php`.
 */
export function encodeQueueItem(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeReply(queueHead, name, data);
}

/** A parsed reply. Its bytes are views of the payload. */
export type Reply = {
  /** Identity of the channel or queue, as in {@link Name}. */
  key: string;
  data: Buffer;
  /** A class in the data that the rule does not allow, one character a byte. Always `undefined` for events. */
  refusedClass: string | undefined;
};

/** Parses an event from an untrusted payload. Results in `undefined` unless a channel server could have encoded it. */
export function* readEvent(payload: Uint8Array, allowsClass?: ClassRule): Steps<Reply | undefined> {
  const event = yield* readReply(eventHead, payload, allowsClass);
  return event?.refusedClass === undefined ? event : undefined;
}

/**
 * Parses a queue item like {@link readEvent}. Another channel server may have stored an item of a class that this rule
 * refuses.
 */
export function readQueueItem(payload: Uint8Array, allowsClass?: ClassRule): Steps<Reply | undefined> {
  return readReply(queueHead, payload, allowsClass);
}

function encodeReply(head: Buffer, name: Uint8Array, data: Uint8Array): Buffer | undefined {
  const length = head.length + name.length + dataKey.length + data.length + tail.length;
  if (length > maxFrameBytes - headerBytes) return undefined;
  const payload = Buffer.allocUnsafe(length);
  let offset = 0;
  for (const part of [head, name, dataKey, data, tail]) {
    payload.set(part, offset);
    offset += part.length;
  }
  return payload;
}

/** Walks the whole payload, because a receiver ends when it cannot read it. */
function* readReply(head: Buffer, bytes: Uint8Array, allowsClass?: ClassRule): Steps<Reply | undefined> {
  const payload = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (payload.length > maxFrameBytes - headerBytes || !startsWith(payload, head, 0)) return undefined;
  const scanner = new Scanner(payload, 0, allowsClass);
  // The head is the type, which is a short string, and the key of the name.
  if (scanner.enterArray() !== 3 || !scanner.skipKey() || !scanner.skipValue()) return undefined;
  if (!scanner.skipKey() || !(yield* scanner.skipValueInSteps())) return undefined;
  const key = readArrayKey(payload, head.length, scanner);
  const dataStart = scanner.position + dataKey.length;
  if (key === undefined || !startsWith(payload, dataKey, scanner.position)) return undefined;
  if (!scanner.skipKey() || !(yield* scanner.skipValueInSteps())) return undefined;
  const data = payload.subarray(dataStart, scanner.position);
  const isWhole = scanner.leave() && scanner.position === payload.length;
  // No channel server sends references to values outside the data.
  const isClosed = scanner.references.every(({ slot }) => slot >= replyDataSlot);
  if (!isWhole || !isClosed || !(yield* isSafe(scanner, data, replyDataSlot))) return undefined;
  return { key, data, refusedClass: scanner.refusedClass };
}

function startsWith(bytes: Buffer, start: Buffer, at: number): boolean {
  return bytes.length >= at + start.length && bytes.compare(start, 0, start.length, at, at + start.length) === 0;
}
