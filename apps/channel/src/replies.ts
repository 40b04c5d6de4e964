import { encodeFrame } from "./frames.ts";

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
 * The frame that tells a subscriber of an event. Name and data are serialized values, the name in its publisher's form.
 * `undefined` if it exceeds the largest frame. Origin: walkor/channel `src/Server.php`.
 */
export function encodeEvent(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeFrame(eventHead, name, dataKey, data, tail);
}

/**
 * The frame that hands a consumer one queue item; the name in the form that first created the queue.
 * Origin: walkor/channel `src/Queue.php`.
 */
export function encodeQueueItem(name: Uint8Array, data: Uint8Array): Buffer | undefined {
  return encodeFrame(queueHead, name, dataKey, data, tail);
}
