import type { Socket } from "node:net";
import { Backlog } from "./backlog.ts";
import { type Batch, encodeBatch } from "./batch.ts";
import type { Outlet } from "./outlet.ts";
import type { CloseReason, Traffic } from "./traffic.ts";

/** Told whether the network has taken what was to be delivered; false: the peer is gone. */
type OnWritten = (isWritten: boolean) => void;

/** Most writes are waited for by nobody: no array for those, and never one that something could be added to later. */
const NOBODY: readonly OnWritten[] = [];

type PeerParts = {
  readonly socket: Socket;
  readonly id: number;
  readonly outlet: Outlet;
  readonly traffic: Traffic;
  readonly maxUnsentBytes: number;
  /** Called once, in the moment from which nothing is delivered any more. */
  onGone(peer: Peer, reason: CloseReason): void;
};

/**
 * The sending side of one peer's connection. What is delivered in one turn of the event loop leaves in one write, and no
 * write is handed to the socket before it is done with the one before: the rest waits here, where its size is known.
 */
export class Peer {
  readonly id: number;
  readonly #parts: PeerParts;
  #batch: Batch | undefined;
  readonly #backlog = new Backlog();
  #isWriting = false;
  #isEnding = false;
  #goneBecause: CloseReason | undefined;
  /** Who waits for what is in the batch, in the backlog, in the write under way. */
  #inBatch: OnWritten[] = [];
  #inBacklog: OnWritten[] = [];
  #inWrite: readonly OnWritten[] = NOBODY;

  constructor(parts: PeerParts) {
    this.id = parts.id;
    this.#parts = parts;
  }

  get isGone(): boolean {
    return this.#goneBecause !== undefined;
  }

  /** Gone because we did not want it any more. */
  get isThrownOut(): boolean {
    return this.#goneBecause !== undefined && this.#goneBecause !== "ended" && this.#goneBecause !== "failed";
  }

  get unsentBytes(): number {
    return this.#parts.socket.writableLength + this.#backlog.bytes;
  }

  /** Sends a frame with this payload, which must stay as it is until the turn is over. */
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
  }

  /** For the outlet, at the end of a turn. */
  flush(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch === undefined || this.#goneBecause !== undefined) return;
    // As in the original, a single frame of any size goes to a peer that has nothing waiting.
    if (this.unsentBytes >= this.#parts.maxUnsentBytes) {
      this.close("unsent-bytes");
      return;
    }
    const waiting = this.#inBatch.length > 0 ? this.#inBatch : NOBODY;
    if (waiting !== NOBODY) this.#inBatch = [];
    if (this.#isWriting) {
      for (const buffer of encodeBatch(batch)) this.#backlog.add(buffer);
      this.#inBacklog.push(...waiting);
    } else {
      this.#write(encodeBatch(batch), waiting);
    }
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
    if (!this.#isWriting) this.#parts.socket.end();
  }

  /** The connection is over, whoever ended it. */
  gone(reason: CloseReason): void {
    if (this.#goneBecause !== undefined) return;
    this.#goneBecause = reason;
    this.#batch = undefined;
    this.#parts.onGone(this, reason);
    for (const onWritten of [...this.#inWrite, ...this.#inBacklog, ...this.#inBatch]) onWritten(false);
    this.#inWrite = NOBODY;
    this.#inBacklog = [];
    this.#inBatch = [];
    this.#backlog.take();
  }

  #write(buffers: readonly Buffer[], waiting: readonly OnWritten[]): void {
    const { socket } = this.#parts;
    this.#isWriting = true;
    this.#inWrite = waiting;
    const last = buffers.length - 1;
    if (last > 0) socket.cork();
    for (let at = 0; at < last; at++) socket.write(buffers[at] ?? "");
    socket.write(buffers[last] ?? "", this.#onWritten);
    if (last > 0) socket.uncork();
  }

  readonly #onWritten = (error?: Error | null): void => {
    // Node calls a write that was cut off by the connection's end a success. The socket's `close` event follows.
    if (error || this.#parts.socket.destroyed || this.#goneBecause !== undefined) return;
    this.#isWriting = false;
    const written = this.#inWrite;
    this.#inWrite = NOBODY;
    for (const onWritten of written) onWritten(true);
    if (this.#backlog.bytes > 0) {
      const waiting = this.#inBacklog;
      this.#inBacklog = [];
      this.#write(this.#backlog.take(), waiting);
    } else if (this.#isEnding) {
      this.#parts.socket.end();
    }
  };
}
