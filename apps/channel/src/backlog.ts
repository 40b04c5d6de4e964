const largestBlock = 65_536;
const smallestBlock = 1_024;

/**
 * Bytes that wait for a slow reader. Small pieces are copied into blocks, since a stream keeps several hundred bytes for
 * each piece it is given: without that a limit in bytes would not bound memory.
 */
export class Backlog {
  #blocks: Buffer[] = [];
  /** The block that is being filled, the last one, and how full it is. */
  #open: Buffer | undefined;
  #used = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (piece.length >= largestBlock) {
      this.#close();
      this.#blocks.push(piece);
      return;
    }
    const copied = this.#open === undefined ? 0 : piece.copy(this.#open, this.#used);
    this.#used += copied;
    if (copied === piece.length) return;
    this.#close();
    // Doubling from a small one: thousands of peers may be a little late without costing a full block each.
    const wanted = Math.max(smallestBlock, piece.length - copied, Math.min(largestBlock, this.#bytes));
    this.#open = Buffer.allocUnsafeSlow(wanted);
    this.#used = piece.copy(this.#open, 0, copied);
  }

  /** Everything, in order; the backlog is empty after. */
  take(): Buffer[] {
    this.#close();
    const blocks = this.#blocks;
    this.#blocks = [];
    this.#bytes = 0;
    return blocks;
  }

  #close(): void {
    if (this.#open !== undefined && this.#used > 0) this.#blocks.push(this.#open.subarray(0, this.#used));
    this.#open = undefined;
    this.#used = 0;
  }
}
