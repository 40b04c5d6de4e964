import { encodeFrames, headerBytes } from "../wire/frames.ts";
import type { SharedBytes } from "./buffer-budget.ts";

/** Smallest payload in bytes that is written without a copy. */
const largeBytes = 65_536;

/** The payloads of one write to a peer, as a list from the last payload to the first. */
export type FrameBatch = {
  readonly payload: Uint8Array;
  readonly before: FrameBatch | undefined;
  /** Size including frame headers. */
  readonly bytes: number;
  /**
   * Counter of the encoded frames. It is a separate object so that a slow peer does not keep all batches of the tick
   * alive.
   */
  readonly memory: SharedBytes;
  /** The batch that {@link FrameBatches.append} made for the previous peer. */
  next: FrameBatch | undefined;
  encoded: readonly Buffer[] | undefined;
};

/**
 * The batches of one event-loop tick. Peers that receive the same payloads share one batch. So an event to a thousand
 * subscribers is encoded once, and each subscriber costs one comparison.
 *
 * Payloads must not change until the tick is over.
 */
export class FrameBatches {
  #first: FrameBatch | undefined;
  #bytes = 0;

  /** Bytes of the payloads in all batches, including frame headers. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Returns the batch of `before` followed by `payload`. `before` is `undefined` for a peer without a batch in this
   * tick.
   */
  append(before: FrameBatch | undefined, payload: Uint8Array): FrameBatch {
    const known = before === undefined ? this.#first : before.next;
    if (known !== undefined && known.payload === payload) return known;
    const bytes = (before?.bytes ?? 0) + headerBytes + payload.length;
    const memory = { bytes, holders: 0 };
    const batch: FrameBatch = { payload, before, bytes, memory, next: undefined, encoded: undefined };
    this.#bytes += headerBytes + payload.length;
    if (before === undefined) this.#first = batch;
    else before.next = batch;
    return batch;
  }

  /** Ends the tick. Later batches share nothing with earlier ones. */
  clear(): void {
    this.#first = undefined;
    this.#bytes = 0;
  }
}

/** Returns the frames of a batch in few buffers, without copying large payloads. The first call encodes them. */
export function encodeBatch(batch: FrameBatch): readonly Buffer[] {
  batch.encoded ??= encode(batch);
  return batch.encoded;
}

function encode(last: FrameBatch): Buffer[] {
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

function payloadsOf(last: FrameBatch): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let batch: FrameBatch | undefined = last; batch !== undefined; batch = batch.before)
    payloads.push(batch.payload);
  return payloads.reverse();
}
