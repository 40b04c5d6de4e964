/** What a frame is longer than its payload, in bytes. */
export const headerBytes = 4;
const nothing = Buffer.alloc(0);

/**
 * Largest frame in either direction in bytes, header included: the limit at which both the original server and the
 * original client close the connection. Origin: walkor/workerman `src/Protocols/Frame.php` and `TcpConnection`.
 */
export const maxFrameBytes = 10_485_760;

/** Why a stream cannot be read any further: what follows such a length has no frame boundaries. */
export type FrameError = "frame-too-short" | "frame-too-long";

/** What one chunk completed. Messages in front of an error are valid and still have to be processed. */
export type DecodedFrames = {
  /** Payloads in order. Views into the chunk where a frame lay whole in it, so they live as long as its memory does. */
  messages: Buffer[];
  /** How many frames were pings (empty, or the single character "0"): they are never answered. */
  pings: number;
  error: FrameError | null;
};

/**
 * Cuts one connection's byte stream into frames: a 4-byte big-endian length that counts itself, then the payload.
 *
 * Holds the bytes of at most one unfinished frame. Its memory follows what arrived, not what the length promises: a
 * peer that declares 10 MiB and sends nothing costs nothing. Every byte is copied a bounded number of times, however
 * slowly it comes. After an error everything further is refused with the same error.
 */
export class FrameDecoder {
  readonly #maxBytes: number;
  #partial: Buffer = nothing;
  #partialBytes = 0;
  #error: FrameError | null = null;

  /** `maxBytes`: largest frame that is accepted, header included; no more than {@link maxFrameBytes}. */
  constructor(maxBytes: number = maxFrameBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Memory held for an unfinished frame, in bytes. */
  get heldBytes(): number {
    return this.#partial.length;
  }

  /** Length of the unfinished frame as its header says; 0 when there is none, or its header is not whole. */
  get declaredBytes(): number {
    return this.#partialBytes < headerBytes ? 0 : this.#partial.readUInt32BE(0);
  }

  /** Gives up the unfinished frame. Nothing may be pushed after it. */
  forget(): void {
    this.#release();
  }

  push(chunk: Buffer): DecodedFrames {
    const decoded: DecodedFrames = { messages: [], pings: 0, error: this.#error };
    if (decoded.error !== null) return decoded;
    let offset = this.#partialBytes > 0 ? this.#finishPartial(chunk, decoded) : 0;
    while (decoded.error === null && chunk.length - offset >= headerBytes) {
      const length = chunk.readUInt32BE(offset);
      decoded.error = this.#lengthError(length);
      if (decoded.error !== null || length > chunk.length - offset) break;
      report(chunk.subarray(offset + headerBytes, offset + length), decoded);
      offset += length;
    }
    if (decoded.error !== null) this.#fail(decoded.error);
    else if (offset < chunk.length) this.#hold(chunk, offset, chunk.length);
    return decoded;
  }

  /** Adds what the unfinished frame still needs; returns how many bytes of the chunk it took. */
  #finishPartial(chunk: Buffer, decoded: DecodedFrames): number {
    const headerTaken = Math.min(chunk.length, Math.max(0, headerBytes - this.#partialBytes));
    this.#hold(chunk, 0, headerTaken);
    if (this.#partialBytes < headerBytes) return headerTaken;
    const length = this.#partial.readUInt32BE(0);
    decoded.error = this.#lengthError(length);
    if (decoded.error !== null) return headerTaken;
    const taken = Math.min(chunk.length, headerTaken + length - this.#partialBytes);
    this.#hold(chunk, headerTaken, taken);
    if (this.#partialBytes === length) {
      report(this.#partial.subarray(headerBytes, length), decoded);
      this.#release();
    }
    return taken;
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const needed = this.#partialBytes + to - from;
    if (needed > this.#partial.length) {
      // Doubling keeps slow senders linear; the declared length caps it, so a finished frame is never oversized.
      const header = this.#partialBytes > 0 ? this.#partial : chunk.subarray(from, to);
      const declared = needed < headerBytes ? this.#maxBytes : header.readUInt32BE(0);
      const larger = Buffer.allocUnsafe(Math.min(Math.max(64, needed * 2), declared));
      this.#partial.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialBytes, from, to);
    this.#partialBytes = needed;
  }

  /** The message just reported may be a view into the old buffer: it is given away, never reused. */
  #release(): void {
    this.#partial = nothing;
    this.#partialBytes = 0;
  }

  #lengthError(length: number): FrameError | null {
    // The original never gets past such a frame, or loses its place in the stream; no real client sends one.
    if (length < headerBytes) return "frame-too-short";
    return length > this.#maxBytes ? "frame-too-long" : null;
  }

  #fail(error: FrameError): void {
    this.#error = error;
    this.#release();
  }
}

/** The frames of these payloads, end to end. Each payload must fit in a frame. */
export function encodeFrames(payloads: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const payload of payloads) length += headerBytes + payload.length;
  // Never a slice of Node's shared pool: frames wait for slow readers, and each would hold 8 KiB of that.
  const frames = Buffer.allocUnsafeSlow(length);
  let offset = 0;
  for (const payload of payloads) {
    offset = frames.writeUInt32BE(headerBytes + payload.length, offset);
    frames.set(payload, offset);
    offset += payload.length;
  }
  return frames;
}

function report(payload: Buffer, decoded: DecodedFrames): void {
  if (isPing(payload)) decoded.pings++;
  else decoded.messages.push(payload);
}

/** PHP's `empty()`, by which the original skips a payload: both "" and "0" are. */
function isPing(payload: Buffer): boolean {
  return payload.length === 0 || (payload.length === 1 && payload[0] === 0x30);
}
