import { isUtf8 } from "node:buffer";
import type { Connection } from "./connection.ts";

/**
 * In bytes, frame headers among them: so much uWebSockets.js writes to a socket from a buffer that all connections share. For more it
 * gives the connection a buffer of its own, of which it keeps the memory until the connection closes.
 */
const CORK_BYTES = 16_384;
const MAX_HEADER_BYTES = 10;
/** So large a frame may be to be written from it. */
export const CORKFUL_BYTES = CORK_BYTES - MAX_HEADER_BYTES - 1;

/** Frames that are written together. */
export type Corkful = readonly { readonly content: Uint8Array; readonly isBinary: boolean }[];

type Receiver = Pick<Connection, "send" | "cork">;

/** Contents of the raw door as frames, together as far as the shared buffer goes. */
export function toCorkfuls(contents: readonly Uint8Array[]): Corkful[] {
  const corkfuls: { content: Uint8Array; isBinary: boolean }[][] = [];
  let bytes = CORK_BYTES;
  for (const content of contents) {
    bytes += content.length + MAX_HEADER_BYTES;
    if (bytes >= CORK_BYTES) {
      corkfuls.push([]);
      bytes = content.length + MAX_HEADER_BYTES;
    }
    corkfuls.at(-1)?.push({ content, isBinary: !isUtf8(content) });
  }
  return corkfuls;
}

/** Until the connection is over its limit and is being ended. */
export function writeCorkfuls(receiver: Receiver, corkfuls: readonly Corkful[]): void {
  let isOver = false;
  for (const frames of corkfuls) {
    receiver.cork(() => {
      for (const { content, isBinary } of frames) isOver ||= receiver.send(content, isBinary) === 2;
    });
    if (isOver) return;
  }
}
