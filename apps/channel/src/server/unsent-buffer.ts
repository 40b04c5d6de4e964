import { Deque } from "../data/deque.ts";
import type { SharedBytes } from "./buffer-budget.ts";

const largestBlock = 65_536;
const smallestBlock = 1_024;
/** Smallest piece in bytes that peers share. Smaller pieces are copied into blocks. */
const sharedPiece = 4_096;

/** Counts the memory that unsent buffers hold. */
export type UnsentBudget = { hold(shared: SharedBytes): void; release(shared: SharedBytes): void };

type Piece = { readonly bytes: Buffer; readonly memory: SharedBytes };

/**
 * Unsent bytes of one slow peer. Small pieces are copied into blocks, because each piece costs several hundred bytes.
 * Without blocks a limit in bytes would not bound memory.
 */
export class UnsentBuffer {
  readonly #budget: UnsentBudget;
  readonly #pieces = new Deque<Piece>();
  /** Bytes already taken from the first piece. */
  #taken = 0;
  /** The block that is being filled. It follows all pieces. */
  #open: Piece | undefined;
  #used = 0;
  #bytes = 0;
  /** Memory of pieces that were taken whole and are not written yet. */
  #unwritten: SharedBytes[] = [];

  constructor(budget: UnsentBudget) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a piece. `memory` is the shared memory that a large piece is part of. */
  add(piece: Buffer, memory: SharedBytes = { bytes: piece.length, holders: 0 }): void {
    this.#bytes += piece.length;
    if (piece.length >= sharedPiece) {
      this.#close();
      this.#budget.hold(memory);
      this.#pieces.push({ bytes: piece, memory });
      return;
    }
    const copied = this.#open === undefined ? 0 : piece.copy(this.#open.bytes, this.#used);
    this.#used += copied;
    if (copied < piece.length) this.#openBlock(piece.subarray(copied));
  }

  /** Removes and returns the next bytes, at most `maxBytes`. Their memory stays counted until {@link written}. */
  take(maxBytes: number): Buffer[] {
    this.#close();
    const buffers: Buffer[] = [];
    let left = maxBytes;
    for (let piece = this.#pieces.first; piece !== undefined && left > 0; piece = this.#pieces.first) {
      const part = piece.bytes.subarray(this.#taken, this.#taken + left);
      buffers.push(part);
      left -= part.length;
      this.#bytes -= part.length;
      this.#taken += part.length;
      if (this.#taken < piece.bytes.length) break;
      this.#taken = 0;
      this.#unwritten.push(piece.memory);
      this.#pieces.shift();
    }
    return buffers;
  }

  /** Releases the memory of the pieces that were taken. */
  written(): void {
    if (this.#unwritten.length === 0) return;
    const written = this.#unwritten;
    this.#unwritten = [];
    for (const memory of written) this.#budget.release(memory);
  }

  /** Drops all bytes and releases their memory, including that of taken pieces. */
  clear(): void {
    this.#close();
    this.written();
    for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
      this.#budget.release(piece.memory);
    }
    this.#taken = 0;
    this.#bytes = 0;
  }

  #openBlock(piece: Buffer): void {
    this.#close();
    // Blocks grow from a small one, because thousands of peers with few unsent bytes must not cost a full block each.
    const size = Math.max(smallestBlock, piece.length, Math.min(largestBlock, this.#bytes));
    const memory = { bytes: size, holders: 0 };
    this.#budget.hold(memory);
    this.#open = { bytes: Buffer.allocUnsafeSlow(size), memory };
    this.#used = piece.copy(this.#open.bytes, 0);
  }

  #close(): void {
    if (this.#open === undefined) return;
    this.#pieces.push({ bytes: this.#open.bytes.subarray(0, this.#used), memory: this.#open.memory });
    this.#open = undefined;
    this.#used = 0;
  }
}
