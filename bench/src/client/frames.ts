/** RFC 6455 section 5.2, as far as a server speaks it: unmasked frames, here also unfragmented and without extensions. */
export const opcodes = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Longer frames than any server here has a reason to send; a claim of more is a reader out of step. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 10;

/** Told of every whole frame; the payload is `bytes[start..end)` and only valid during the call. */
export type OnFrame = (opcode: number, bytes: Uint8Array, start: number, end: number) => void;

/**
 * Cuts a stream of bytes into frames. Frames that lie whole in one read are handed on where they lie, without a copy or an
 * allocation; only the piece a read leaves unfinished is kept.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  /** The beginning of an unfinished frame: the first `#heldBytes` of `#held`. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Throws on bytes that are no frame of the kind above; the stream is lost then. */
  read(bytes: Uint8Array, start: number, end: number): void {
    let at = this.#heldBytes === 0 ? start : this.#finishHeld(bytes, start, end);
    while (at < end) {
      const payloadStart = at + headerBytes(bytes, at, end);
      const frameEnd = payloadStart + payloadBytes(bytes, at, end);
      if (frameEnd > end) {
        this.#hold(bytes, at, end);
        return;
      }
      this.#onFrame(byteAt(bytes, at) & 0x0f, bytes, payloadStart, frameEnd);
      at = frameEnd;
    }
  }

  /** Feeds the unfinished frame and hands it on when whole. Answers where the next frame begins. */
  #finishHeld(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (;;) {
      // While the header is unfinished this asks for the header first: the rest of the frame is not known before it.
      const wanted = headerBytes(this.#held, 0, this.#heldBytes) + payloadBytes(this.#held, 0, this.#heldBytes);
      if (wanted <= this.#heldBytes) break;
      if (at === end) return end;
      const next = Math.min(end, at + wanted - this.#heldBytes);
      this.#hold(bytes, at, next, wanted);
      at = next;
    }
    const whole = this.#heldBytes;
    this.#heldBytes = 0;
    this.#onFrame(byteAt(this.#held, 0) & 0x0f, this.#held, headerBytes(this.#held, 0, whole), whole);
    return at;
  }

  #hold(bytes: Uint8Array, start: number, end: number, expectedBytes = 0): void {
    const needed = Math.max(this.#heldBytes + end - start, expectedBytes, 128);
    if (this.#held.length < needed) {
      const larger = Buffer.allocUnsafe(needed);
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(bytes.subarray(start, end), this.#heldBytes);
    this.#heldBytes += end - start;
  }
}

/** Bytes of the header at `at`; of one that is cut off before its length: what it needs at least to be known. */
function headerBytes(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 2) return 2;
  const length = byteAt(bytes, at + 1);
  return length < 126 ? 2 : length === 126 ? 4 : MAX_HEADER_BYTES;
}

/** Bytes of the payload of the frame at `at`; 0 while the header is cut off, since the frame ends beyond it in any case. */
function payloadBytes(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 2) return 0;
  const first = byteAt(bytes, at);
  // FIN set, no extension bits.
  if ((first & 0xf0) !== 0x80) throw new Error(`unexpected frame: first byte 0x${first.toString(16)}`);
  const length = byteAt(bytes, at + 1);
  if (length < 126) return length;
  if (length > 127) throw new Error("a server sent a masked frame");
  if (length === 126) return end - at < 4 ? 0 : byteAt(bytes, at + 2) * 0x100 + byteAt(bytes, at + 3);
  if (end - at < MAX_HEADER_BYTES) return 0;

  let long = 0;
  for (let index = at + 2; index < at + MAX_HEADER_BYTES; index++) long = long * 0x100 + byteAt(bytes, index);
  if (long > MAX_FRAME_BYTES) throw new Error(`a server announced a frame of ${long} bytes`);
  return long;
}

/** Every caller has compared `at` with the end of what was read. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** A client's frame is masked; all zeros is a mask too and leaves the payload as it is. Payload below 126 bytes. */
export function encodeClientFrame(opcode: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
