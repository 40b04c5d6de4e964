/** RFC 6455 section 5.2 for frames of servers: unmasked, and here also unfragmented and without extensions. */
export const opcodes = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Maximum length of a frame. A longer one means a misaligned reader. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 10;

/** Called for every complete frame. The payload is `bytes[start..end)`, valid only during the call. */
export type OnFrame = (opcode: number, bytes: Uint8Array, start: number, end: number) => void;

/**
 * Cuts a stream of bytes into frames. A frame that is complete in one read is passed on without a copy or an
 * allocation. Only an incomplete rest is copied.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  /** Beginning of an incomplete frame: the first `#heldBytes` of `#held`. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Throws on other frames, after which the stream cannot be read. */
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

  /** Completes the incomplete frame and passes it on. Returns the offset of the next frame. */
  #finishHeld(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (;;) {
      // The header is completed first, because the length of the frame is unknown before.
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

/** Returns the length of the header at `at`, or the bytes needed to know it. */
function headerBytes(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < 2) return 2;
  const length = byteAt(bytes, at + 1);
  return length < 126 ? 2 : length === 126 ? 4 : MAX_HEADER_BYTES;
}

/** Returns the length of the payload at `at`; 0 while the header is incomplete. */
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

/** Callers must check `at` against the end of the read bytes. */
function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** Encodes a masked frame of a client. A mask of zeros leaves the payload unchanged. Payload below 126 bytes. */
export function encodeClientFrame(opcode: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
