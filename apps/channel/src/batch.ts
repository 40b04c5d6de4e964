import type { SharedBytes } from "./buffer-budget.ts";
import { encodeFrames, headerBytes } from "./frames.ts";

/** A payload so large that it is not copied to be joined with others. */
const largeBytes = 65_536;

/** What a peer is to be sent in one write: payloads in order, the last of them first. */
export type Batch = {
  readonly payload: Uint8Array;
  readonly before: Batch | undefined;
  /** Frame headers included. */
  readonly bytes: number;
  /** Its encoded frames, counted. Apart from the batch, so that a slow reader does not keep the whole tick alive. */
  readonly memory: SharedBytes;
  /** Makes {@link Batches.append} find the batch that the peer before this one got. */
  next: Batch | undefined;
  encoded: readonly Buffer[] | undefined;
};

/**
 * The batches of one turn of the event loop. Peers that are sent the same payloads share one batch: what a thousand
 * subscribers hear is encoded once, and each of them costs a comparison.
 *
 * Payloads must stay as they are until the turn is over.
 */
export class Batches {
  #first: Batch | undefined;
  #bytes = 0;

  /** Bytes of the payloads that the batches keep, frame headers included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The batch that is `before` and then `payload`; `before` is `undefined` for a peer that has none in this turn. */
  append(before: Batch | undefined, payload: Uint8Array): Batch {
    const known = before === undefined ? this.#first : before.next;
    if (known !== undefined && known.payload === payload) return known;
    const bytes = (before?.bytes ?? 0) + headerBytes + payload.length;
    const memory = { bytes, holders: 0 };
    const batch: Batch = { payload, before, bytes, memory, next: undefined, encoded: undefined };
    this.#bytes += headerBytes + payload.length;
    if (before === undefined) this.#first = batch;
    else before.next = batch;
    return batch;
  }

  /** Ends the turn: later batches share nothing with earlier ones. */
  clear(): void {
    this.#first = undefined;
    this.#bytes = 0;
  }
}

/** The frames of a batch, as few buffers as copying little allows. Encoded when first asked for. */
export function encodeBatch(batch: Batch): readonly Buffer[] {
  batch.encoded ??= encode(batch);
  return batch.encoded;
}

function encode(last: Batch): Buffer[] {
  if (last.before === undefined && last.payload.length < largeBytes) return [encodeFrames([last.payload])];
  const buffers: Buffer[] = [];
  let small: Uint8Array[] = [];
  const flushSmall = () => {
    if (small.length > 0) buffers.push(encodeFrames(small));
    small = [];
  };
  for (const payload of payloadsOf(last)) {
    if (payload.length < largeBytes) {
      small.push(payload);
      continue;
    }
    flushSmall();
    const header = Buffer.allocUnsafeSlow(headerBytes);
    header.writeUInt32BE(headerBytes + payload.length);
    buffers.push(header, Buffer.from(payload.buffer, payload.byteOffset, payload.length));
  }
  flushSmall();
  return buffers;
}

function payloadsOf(last: Batch): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let batch: Batch | undefined = last; batch !== undefined; batch = batch.before) payloads.push(batch.payload);
  return payloads.reverse();
}
