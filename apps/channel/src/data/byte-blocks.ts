const blockBytes = 65_536;
/** Largest piece in bytes that is copied into a shared block. A larger piece keeps a separate buffer. */
const largestPiece = 4_096;

/**
 * Copies small pieces into shared blocks, because a separate buffer costs several hundred bytes for each piece. A block
 * is freed when none of its pieces is in use, so pieces should be released in the order in which they were copied.
 */
export class ByteBlocks {
  #block = Buffer.alloc(0);
  #used = 0;

  /** Returns a copy of `piece`. */
  copy(piece: Buffer): Buffer {
    if (piece.length > largestPiece) {
      const own = Buffer.allocUnsafeSlow(piece.length);
      piece.copy(own);
      return own;
    }
    if (this.#used + piece.length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(blockBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += piece.copy(this.#block, start);
    return this.#block.subarray(start, this.#used);
  }
}
