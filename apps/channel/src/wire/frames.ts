/** Size of a frame header in bytes. */
export const headerBytes = 4;
const nothing = Buffer.alloc(0);

/**
 * Largest frame in either direction in bytes, including its header. The original server and the original client close
 * the connection beyond it. Origin: walkor/workerman `src/Protocols/Frame.php` and `TcpConnection`.
 */
export const maxFrameBytes = 10_485_760;

/** Why a stream cannot be decoded any further. The bytes after a wrong length have no frame boundaries. */
export type FrameError = "frame-too-short" | "frame-too-long";

/** Frames that one chunk completed. Messages before an error are valid and must be processed. */
export type DecodedFrames = {
  /** Payloads in order. A payload that arrived in one chunk is a view of it and keeps its memory alive. */
  messages: Buffer[];
  /** Number of pings: empty frames or the single character "0". They get no reply. */
  pings: number;
  error: FrameError | null;
};

/**
 * Splits one connection's byte stream into frames. A frame is a 4-byte big-endian length, which counts itself, and the
 * payload.
 *
 * The decoder buffers at most one incomplete frame. Its memory grows with the bytes received, not with the declared
 * length. Every byte is copied a bounded number of times, even from a slow sender. After an error every chunk is
 * refused with the same error.
 */
export class FrameDecoder {
  readonly #maxBytes: number;
  #partial: Buffer = nothing;
  #partialBytes = 0;
  #error: FrameError | null = null;

  /** `maxBytes` is the largest accepted frame including its header, at most {@link maxFrameBytes}. */
  constructor(maxBytes: number = maxFrameBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Memory of the incomplete frame in bytes. */
  get heldBytes(): number {
    return this.#partial.length;
  }

  /** Declared length of the incomplete frame; 0 without one or while its header is incomplete. */
  get declaredBytes(): number {
    return this.#partialBytes < headerBytes ? 0 : this.#partial.readUInt32BE(0);
  }

  /** Drops the incomplete frame. The decoder must not be used afterwards. */
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

  /** Adds missing bytes to the incomplete frame. Returns the number of bytes taken from the chunk. */
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
      // Doubling keeps the copies linear. The declared length caps the size, so that a complete frame has no unused
      // memory.
      const header = this.#partialBytes > 0 ? this.#partial : chunk.subarray(from, to);
      const declared = needed < headerBytes ? this.#maxBytes : header.readUInt32BE(0);
      const larger = Buffer.allocUnsafe(Math.min(Math.max(64, needed * 2), declared));
      this.#partial.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialBytes, from, to);
    this.#partialBytes = needed;
  }

  /** Drops the buffer instead of reusing it, because the last message may be a view of it. */
  #release(): void {
    this.#partial = nothing;
    this.#partialBytes = 0;
  }

  #lengthError(length: number): FrameError | null {
    // The original gets stuck at such a frame or loses the frame boundaries. No real client sends one.
    if (length < headerBytes) return "frame-too-short";
    return length > this.#maxBytes ? "frame-too-long" : null;
  }

  #fail(error: FrameError): void {
    this.#error = error;
    this.#release();
  }
}

/** Encodes the payloads as consecutive frames. Each payload must fit in a frame. */
export function encodeFrames(payloads: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const payload of payloads) length += headerBytes + payload.length;
  // Not from Node's shared pool: frames wait for slow peers, and each would keep 8 KiB of the pool alive.
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

/** Whether the payload is empty by PHP's `empty()`, which the original uses: "" and "0" are. */
function isPing(payload: Buffer): boolean {
  return payload.length === 0 || (payload.length === 1 && payload[0] === 0x30);
}
