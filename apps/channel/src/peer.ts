import type { Socket } from "node:net";
import { Backlog, type BacklogBudget } from "./backlog.ts";
import { type Batch, encodeBatch } from "./batch.ts";
import type { SharedBytes } from "./buffer-budget.ts";
import { Deque } from "./core/deque.ts";
import type { Outlet } from "./outlet.ts";
import type { CloseReason, Traffic } from "./traffic.ts";

/** Told whether the network has taken what was to be delivered; false: the peer is gone. */
type OnWritten = (isWritten: boolean) => void;

/** Bytes handed to the socket at once. Each write that completes shows that the peer reads. */
const WRITE_BYTES = 131_072;

type PeerParts = {
  readonly socket: Socket;
  readonly id: number;
  readonly outlet: Outlet;
  readonly budget: BacklogBudget;
  readonly traffic: Traffic;
  readonly maxUnsentBytes: number;
  /** Called when half of the unsent bytes that the peer may have wait, and when no more than a quarter does. */
  onSlow(peer: Peer, isSlow: boolean): void;
  /** Called once, in the moment from which nothing is delivered any more. */
  onGone(peer: Peer, reason: CloseReason): void;
};

/**
 * The sending side of one peer's connection. What is delivered in one tick of the event loop leaves in one write, and no
 * write is handed to the socket before it is done with the one before: the rest waits here, where its size is known.
 */
export class Peer {
  readonly id: number;
  readonly #parts: PeerParts;
  #batch: Batch | undefined;
  readonly #backlog: Backlog;
  /** Bytes of the write under way; 0: none is. */
  #writingBytes = 0;
  /** Memory of the write under way, when none of it went through the backlog. */
  #writing: SharedBytes | undefined;
  #isEnding = false;
  #isSlow = false;
  #goneBecause: CloseReason | undefined;
  /** Bytes flushed and bytes written so far: positions in the stream. */
  #flushedBytes = 0;
  #writtenBytes = 0;
  /** By `performance.now()`. */
  #progressAt = 0;
  #inBatch: OnWritten[] = [];
  /** Callers that wait until the stream is written up to a position. */
  readonly #flushed = new Deque<{ readonly end: number; readonly onWritten: OnWritten }>();

  constructor(parts: PeerParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#backlog = new Backlog(parts.budget);
  }

  get isGone(): boolean {
    return this.#goneBecause !== undefined;
  }

  /** Gone because we did not want it any more. */
  get isThrownOut(): boolean {
    return this.#goneBecause !== undefined && this.#goneBecause !== "ended" && this.#goneBecause !== "failed";
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  get unsentBytes(): number {
    return (this.#batch?.bytes ?? 0) + this.#flushedUnsentBytes;
  }

  /** Since when unsent bytes wait without any being taken by the network, by `performance.now()`; `undefined`: none wait. */
  get stalledSince(): number | undefined {
    return this.#writingBytes > 0 ? this.#progressAt : undefined;
  }

  /** Sends a frame with this payload, which must stay as it is until it is flushed. */
  deliver(payload: Uint8Array, onWritten?: OnWritten): void {
    if (this.#goneBecause !== undefined || this.#isEnding) {
      onWritten?.(false);
      return;
    }
    const { outlet, traffic } = this.#parts;
    if (this.#batch === undefined) outlet.add(this);
    this.#batch = outlet.batches.append(this.#batch, payload);
    if (onWritten !== undefined) this.#inBatch.push(onWritten);
    traffic.deliveries++;
    traffic.deliveredBytes += payload.length;
    this.#checkSlow();
  }

  /** Called by the outlet at the end of a tick. */
  flush(): void {
    const batch = this.#batch;
    if (this.#goneBecause !== undefined) return;
    if (batch !== undefined) {
      // As in the original, a single frame of any size goes to a peer that has nothing waiting.
      if (this.#flushedUnsentBytes >= this.#parts.maxUnsentBytes) {
        this.close("unsent-bytes");
        return;
      }
      this.#batch = undefined;
      this.#flushBatch(batch);
    }
    if (this.#writingBytes === 0 && this.#backlog.bytes > 0) this.#writeBacklog();
  }

  /** Ends the connection at once. Nothing is delivered after the call. */
  close(reason: CloseReason): void {
    this.gone(reason);
    this.#parts.socket.destroy();
  }

  /** Delivers what there is, then ends the connection. */
  end(): void {
    if (this.#isEnding) return;
    if (this.#batch !== undefined) this.flush();
    this.#isEnding = true;
    if (this.#flushedUnsentBytes === 0) this.#parts.socket.end();
  }

  /** The connection is over, whoever ended it. */
  gone(reason: CloseReason): void {
    if (this.#goneBecause !== undefined) return;
    this.#goneBecause = reason;
    this.#batch = undefined;
    this.#parts.onGone(this, reason);
    const waiting = this.#inBatch;
    this.#inBatch = [];
    for (let next = this.#flushed.shift(); next !== undefined; next = this.#flushed.shift()) next.onWritten(false);
    for (const onWritten of waiting) onWritten(false);
    this.#releaseWritten();
    this.#backlog.clear();
    this.#setSlow(false);
  }

  get #flushedUnsentBytes(): number {
    return this.#backlog.bytes + this.#writingBytes;
  }

  #flushBatch(batch: Batch): void {
    this.#flushedBytes += batch.bytes;
    for (const onWritten of this.#inBatch) this.#flushed.push({ end: this.#flushedBytes, onWritten });
    if (this.#inBatch.length > 0) this.#inBatch = [];
    const buffers = encodeBatch(batch);
    if (this.#flushedUnsentBytes > 0 || batch.bytes > WRITE_BYTES) {
      for (const buffer of buffers) this.#backlog.add(buffer, batch.memory);
      return;
    }
    this.#parts.budget.hold(batch.memory);
    this.#writing = batch.memory;
    this.#write(buffers, batch.bytes);
  }

  #writeBacklog(): void {
    const before = this.#backlog.bytes;
    const buffers = this.#backlog.take(WRITE_BYTES);
    this.#write(buffers, before - this.#backlog.bytes);
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
    // Node calls a write that was cut off by the connection's end a success. The socket's `close` event follows.
    if (error || this.#parts.socket.destroyed || this.#goneBecause !== undefined) return;
    this.#writtenBytes += this.#writingBytes;
    this.#writingBytes = 0;
    this.#releaseWritten();
    for (let next = this.#flushed.first; next !== undefined && next.end <= this.#writtenBytes; ) {
      this.#flushed.shift();
      next.onWritten(true);
      next = this.#flushed.first;
    }
    this.#checkSlow();
    // In another tick, so that one peer's backlog does not hold up the others.
    if (this.#backlog.bytes > 0) this.#parts.outlet.add(this);
    else if (this.#isEnding) this.#parts.socket.end();
  };

  #releaseWritten(): void {
    this.#backlog.written();
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
