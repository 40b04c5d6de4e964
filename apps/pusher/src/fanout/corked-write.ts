import { isUtf8 } from "node:buffer";
import type { Connection } from "../connections/connection.ts";

/**
 * Bytes, with frame headers, that uWebSockets.js writes to a socket from a buffer that all connections share. For a
 * larger write it allocates a buffer for each connection in one of its topics, and keeps it until the connection
 * closes.
 */
const CORK_BYTES = 16_384;
/** Maximum bytes of a publication that fits into the shared buffer with its frame header. */
export const WRITE_BATCH_BYTES = CORK_BYTES - 5;

/** Frames that are written together. */
export type WriteBatch = readonly { readonly content: Uint8Array; readonly isBinary: boolean }[];

type Receiver = Pick<Connection, "send" | "cork" | "getBufferedAmount">;

/** Returns each content as a frame, in batches that fit into the shared buffer. */
export function toWriteBatches(contents: readonly Uint8Array[]): WriteBatch[] {
  const batches: { content: Uint8Array; isBinary: boolean }[][] = [];
  let bytes = CORK_BYTES;
  for (const content of contents) {
    const frameBytes = content.length + (content.length < 126 ? 2 : 4);
    bytes += frameBytes;
    if (bytes >= CORK_BYTES) {
      batches.push([]);
      bytes = frameBytes;
    }
    batches.at(-1)?.push({ content, isBinary: !isUtf8(content) });
  }
  return batches;
}

/** Returns what `send` does: 1: handed to the network; 0: partly buffered; 2: the connection is over its limit. */
export function writeCorked(receiver: Receiver, batch: WriteBatch): number {
  // Not destructured as a list, because this runs for each connection.
  const only = batch[0];
  if (only && batch.length === 1) return receiver.send(only.content, only.isBinary);
  let isOver = false;
  receiver.cork(() => {
    for (const { content, isBinary } of batch) isOver ||= receiver.send(content, isBinary) === 2;
  });
  if (isOver) return 2;
  return receiver.getBufferedAmount() > 0 ? 0 : 1;
}
