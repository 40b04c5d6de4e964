const blockBytes = 65_536;
/** Larger pieces get memory of their own: their few hundred bytes of bookkeeping weigh little. */
const largestPiece = 4_096;

/**
 * Copies small pieces into shared blocks, since memory of its own costs each piece several hundred bytes. A block is
 * freed when none of its pieces is in use: meant for pieces that are given up in the order in which they came.
 */
export class ByteBlocks {
  #block = Buffer.alloc(0);
  #used = 0;

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
