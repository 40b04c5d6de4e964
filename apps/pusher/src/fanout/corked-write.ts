import { isUtf8 } from "node:buffer";
import type { Connection } from "../connections/connection.ts";

/**
 * In bytes, frame headers among them: so much uWebSockets.js writes to a socket from a buffer that all connections share. For more a
 * connection that is in one of its groups gets a buffer of its own, whose memory is kept until the connection closes.
 */
const CORK_BYTES = 16_384;
/** So large a message may be to be written from it, with its frame's header. */
export const CORKFUL_BYTES = CORK_BYTES - 5;

/** Frames that are written together. */
export type Corkful = readonly { readonly content: Uint8Array; readonly isBinary: boolean }[];

type Receiver = Pick<Connection, "send" | "cork" | "getBufferedAmount">;

/** Contents of the raw protocol as frames, together as far as the shared buffer goes. */
export function toCorkfuls(contents: readonly Uint8Array[]): Corkful[] {
  const corkfuls: { content: Uint8Array; isBinary: boolean }[][] = [];
  let bytes = CORK_BYTES;
  for (const content of contents) {
    const frameBytes = content.length + (content.length < 126 ? 2 : 4);
    bytes += frameBytes;
    if (bytes >= CORK_BYTES) {
      corkfuls.push([]);
      bytes = frameBytes;
    }
    corkfuls.at(-1)?.push({ content, isBinary: !isUtf8(content) });
  }
  return corkfuls;
}

/** What came of it, as `send` says it: 1: handed to the network; 0: some of it waits; 2: the connection is over its limit. */
export function writeCorkful(receiver: Receiver, corkful: Corkful): number {
  // Not taken apart as a list: this is done for each connection.
  const only = corkful[0];
  if (only && corkful.length === 1) return receiver.send(only.content, only.isBinary);
  let isOver = false;
  receiver.cork(() => {
    for (const { content, isBinary } of corkful) isOver ||= receiver.send(content, isBinary) === 2;
  });
  if (isOver) return 2;
  return receiver.getBufferedAmount() > 0 ? 0 : 1;
}
