import { headerBytes, maxFrameBytes } from "./frames.ts";
import type { ClassRule } from "./php-classes.ts";
import { readArrayKey } from "./php-scalars.ts";
import { isSafe, Scanner } from "./php-serialize.ts";

/**
 * The value slot of `data` in everything we send (1 the message, 2 its type, 3 the channel): what the back-references
 * inside it have to be numbered for.
 */
export const replyDataSlot = 4;

const eventHead = Buffer.from('a:3:{s:4:"type";s:5:"event";s:7:"channel";');
const queueHead = Buffer.from('a:3:{s:4:"type";s:5:"queue";s:7:"channel";');
const dataKey = Buffer.from('s:4:"data";');
const tail = Buffer.from("}");

/**
 * What tells a subscriber of an event: the payload of a frame. Name and data are serialized values, the name in its
 * publisher's form. `undefined` if it exceeds the largest frame. Origin: walkor/channel `src/Server.php`.
 */
export function encodeEvent(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeReply(eventHead, name, data);
}

/**
 * What hands a consumer one queue item: the payload of a frame; the name in the form that first created the queue.
 * Origin: walkor/channel `src/Queue.php`.
 */
export function encodeQueueItem(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeReply(queueHead, name, data);
}

/** A reply taken apart. The bytes are views of it. */
export type Reply = {
  /** The identity of the channel or queue, as in {@link Name}. */
  key: string;
  data: Buffer;
};

/** The event in a payload of which nobody knows who made it; `undefined` unless we could have made it ourselves. */
export function readEvent(payload: Uint8Array, allowsClass?: ClassRule): Reply | undefined {
  return readReply(eventHead, payload, allowsClass);
}

/** As {@link readEvent}, of a queue item. */
export function readQueueItem(payload: Uint8Array, allowsClass?: ClassRule): Reply | undefined {
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

/** A receiver's process dies of what it cannot read, so everything is walked to its end. */
function readReply(head: Buffer, bytes: Uint8Array, allowsClass?: ClassRule): Reply | undefined {
  const payload = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (payload.length > maxFrameBytes - headerBytes || !startsWith(payload, head, 0)) return undefined;
  const scanner = new Scanner(payload, 0, allowsClass);
  if (scanner.enterArray() !== 3 || !skipEntry(scanner) || !scanner.skipKey() || !scanner.skipValue()) return undefined;
  const key = readArrayKey(payload, head.length, scanner);
  const dataStart = scanner.position + dataKey.length;
  if (key === undefined || !startsWith(payload, dataKey, scanner.position) || !skipEntry(scanner)) return undefined;
  const data = payload.subarray(dataStart, scanner.position);
  const isWhole = scanner.leave() && scanner.position === payload.length;
  // What refers to something outside the data, no peer could have had us send.
  const isClosed = scanner.references.every(({ slot }) => slot >= replyDataSlot);
  return isWhole && isClosed && isSafe(scanner, data, replyDataSlot) ? { key, data } : undefined;
}

function skipEntry(scanner: Scanner): boolean {
  return scanner.skipKey() && scanner.skipValue();
}

function startsWith(bytes: Buffer, start: Buffer, at: number): boolean {
  return bytes.length >= at + start.length && bytes.compare(start, 0, start.length, at, at + start.length) === 0;
}
