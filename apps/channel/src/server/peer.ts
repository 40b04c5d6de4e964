import type { Socket } from "node:net";
import type { BrokerPeer, OnWritten } from "../broker/broker-peer.ts";
import type { CloseReason, Counters } from "../broker/counters.ts";
import { Deque } from "../data/deque.ts";
import type { SharedBytes } from "./buffer-budget.ts";
import type { FlushScheduler } from "./flush-scheduler.ts";
import { encodeBatch, type FrameBatch } from "./frame-batch.ts";
import { type UnsentBudget, UnsentBuffer } from "./unsent-buffer.ts";

/** Maximum bytes of one write to the socket. Each completed write shows that the peer reads. */
const WRITE_BYTES = 131_072;

type PeerParts = {
  readonly socket: Socket;
  readonly id: number;
  readonly flushScheduler: FlushScheduler;
  readonly budget: UnsentBudget;
  readonly counters: Counters;
  readonly maxUnsentBytes: number;
  /** Called when half of the maximum unsent bytes wait, and again when a quarter or less waits. */
  onSlow(peer: Peer, isSlow: boolean): void;
  /** Called once, when the peer is closed. Nothing is delivered to it afterwards. */
  onClosed(peer: Peer, reason: CloseReason): void;
};

/**
 * The sending side of one peer's connection. All deliveries of one event-loop tick are one write. A write starts when
 * the one before is complete. Until then its bytes wait here, where their size is known.
 */
export class Peer implements BrokerPeer {
  readonly id: number;
  readonly #parts: PeerParts;
  #batch: FrameBatch | undefined;
  readonly #unsent: UnsentBuffer;
  /** Bytes of the current write; 0 without one. */
  #writingBytes = 0;
  /** Memory of the current write, unless its bytes came from the unsent buffer. */
  #writing: SharedBytes | undefined;
  #isEnding = false;
  #isSlow = false;
  #closeReason: CloseReason | undefined;
  /** Position in the stream up to which deliveries are flushed. */
  #flushedBytes = 0;
  /** Position in the stream up to which bytes are written. */
  #writtenBytes = 0;
  /** Start of the current write, or its last progress, by `performance.now()`. */
  #progressAt = 0;
  #inBatch: OnWritten[] = [];
  /** Callbacks that wait until the stream is written up to a position. */
  readonly #flushed = new Deque<{ readonly end: number; readonly onWritten: OnWritten }>();

  constructor(parts: PeerParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#unsent = new UnsentBuffer(parts.budget);
  }

  get isClosed(): boolean {
    return this.#closeReason !== undefined;
  }

  /** Whether the server closed the peer, as opposed to the peer or the network. */
  get isEvicted(): boolean {
    return this.#closeReason !== undefined && this.#closeReason !== "ended" && this.#closeReason !== "failed";
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  get unsentBytes(): number {
    return (this.#batch?.bytes ?? 0) + this.#flushedUnsentBytes;
  }

  /** Time of the last progress while unsent bytes wait, by `performance.now()`, or `undefined` when none wait. */
  get stalledSince(): number | undefined {
    return this.#writingBytes > 0 ? this.#progressAt : undefined;
  }

  /** Sends a frame with this payload. The payload must not change until it is flushed. */
  deliver(payload: Uint8Array, onWritten?: OnWritten): void {
    if (this.#closeReason !== undefined || this.#isEnding) {
      onWritten?.(false);
      return;
    }
    const { flushScheduler, counters } = this.#parts;
    if (this.#batch === undefined) flushScheduler.add(this);
    this.#batch = flushScheduler.batches.append(this.#batch, payload);
    if (onWritten !== undefined) this.#inBatch.push(onWritten);
    counters.deliveries++;
    counters.deliveredBytes += payload.length;
    this.#checkSlow();
  }

  /** Writes the deliveries of the tick. Must be called by the flush scheduler only. */
  flush(): void {
    const batch = this.#batch;
    if (this.#closeReason !== undefined) return;
    if (batch !== undefined) {
      // As in the original, a peer without unsent bytes receives a single frame of any size.
      if (this.#flushedUnsentBytes >= this.#parts.maxUnsentBytes) {
        this.close("unsent-bytes");
        return;
      }
      this.#batch = undefined;
      this.#flushBatch(batch);
    }
    if (this.#writingBytes === 0 && this.#unsent.bytes > 0) this.#writeUnsent();
  }

  /** Closes the connection at once. Nothing is delivered afterwards. */
  close(reason: CloseReason): void {
    this.markClosed(reason);
    this.#parts.socket.destroy();
  }

  /** Writes all unsent bytes, then ends the connection. */
  end(): void {
    if (this.#isEnding) return;
    if (this.#batch !== undefined) this.flush();
    this.#isEnding = true;
    if (this.#flushedUnsentBytes === 0) this.#parts.socket.end();
  }

  /** Marks the peer as closed. Must be called when the connection ends for any reason. */
  markClosed(reason: CloseReason): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    this.#batch = undefined;
    this.#parts.onClosed(this, reason);
    const waiting = this.#inBatch;
    this.#inBatch = [];
    for (let next = this.#flushed.shift(); next !== undefined; next = this.#flushed.shift()) next.onWritten(false);
    for (const onWritten of waiting) onWritten(false);
    this.#releaseWritten();
    this.#unsent.clear();
    this.#setSlow(false);
  }

  get #flushedUnsentBytes(): number {
    return this.#unsent.bytes + this.#writingBytes;
  }

  #flushBatch(batch: FrameBatch): void {
    this.#flushedBytes += batch.bytes;
    for (const onWritten of this.#inBatch) this.#flushed.push({ end: this.#flushedBytes, onWritten });
    if (this.#inBatch.length > 0) this.#inBatch = [];
    const buffers = encodeBatch(batch);
    if (this.#flushedUnsentBytes > 0 || batch.bytes > WRITE_BYTES) {
      for (const buffer of buffers) this.#unsent.add(buffer, batch.memory);
      return;
    }
    this.#parts.budget.hold(batch.memory);
    this.#writing = batch.memory;
    this.#write(buffers, batch.bytes);
  }

  #writeUnsent(): void {
    const before = this.#unsent.bytes;
    const buffers = this.#unsent.take(WRITE_BYTES);
    this.#write(buffers, before - this.#unsent.bytes);
  }

  #write(buffers: readonly Buffer[], bytes: number): void {
    const { socket } = this.#parts;
    this.#writingBytes = bytes;
    this.#progressAt = performance.now();
    const last = buffers.length - 1;
    if (last > 0) socket.cork();
    for (let at = 0; at < last; at++) socket.write(buffers[at] ?? "");
    socket.write(buffers[last] ?? "", this.#onWritten);
    if (last > 0) socket.uncork();
  }

  readonly #onWritten = (error?: Error | null): void => {
    // Node reports success for a write that was cut off by the end of the connection. The socket's `close` event
    // follows.
    if (error || this.#parts.socket.destroyed || this.#closeReason !== undefined) return;
    this.#writtenBytes += this.#writingBytes;
    this.#writingBytes = 0;
    this.#releaseWritten();
    for (let next = this.#flushed.first; next !== undefined && next.end <= this.#writtenBytes; ) {
      this.#flushed.shift();
      next.onWritten(true);
      next = this.#flushed.first;
    }
    this.#checkSlow();
    // The rest is written in another tick, so that it does not delay other peers.
    if (this.#unsent.bytes > 0) this.#parts.flushScheduler.add(this);
    else if (this.#isEnding) this.#parts.socket.end();
  };

  #releaseWritten(): void {
    this.#unsent.written();
    if (this.#writing !== undefined) this.#parts.budget.release(this.#writing);
    this.#writing = undefined;
  }

  #checkSlow(): void {
    const { maxUnsentBytes } = this.#parts;
    this.#setSlow(this.unsentBytes >= maxUnsentBytes / (this.#isSlow ? 4 : 2));
  }

  #setSlow(isSlow: boolean): void {
    if (isSlow === this.#isSlow) return;
    this.#isSlow = isSlow;
    this.#parts.onSlow(this, isSlow);
  }
}
