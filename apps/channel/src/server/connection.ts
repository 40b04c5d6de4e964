import type { Socket } from "node:net";
import type { ClassRule } from "../php/classes.ts";
import { type DecodedFrames, FrameDecoder } from "../wire/frames.ts";
import type { BufferBudget } from "./buffer-budget.ts";
import type { Peer } from "./peer.ts";
import { PendingRequests } from "./pending-requests.ts";

/** Largest incomplete frame in bytes that needs no reserved memory. */
const SMALL_FRAME = 4_096;

/**
 * Why a peer is not read from: its own requests wait, its frame waits for memory, or reading from all peers is paused.
 */
export type NotReading = "requests" | "frame-room" | "all";

type ConnectionParts = {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly budget: BufferBudget;
  readonly maxFrameBytes: number;
  readonly allowsClass: ClassRule;
  /** Called when all requests of the peer are processed. */
  onIdle(): void;
};

/** The receiving side of one peer's connection. It decodes frames and pauses the socket. */
export class Connection {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly pending: PendingRequests;
  readonly #budget: BufferBudget;
  readonly #decoder: FrameDecoder;
  readonly #notReading = new Set<NotReading>();
  /** Start of the incomplete frame by `performance.now()`, or `undefined` without one. */
  #frameSince: number | undefined;
  /** Time of the last received bytes or of the last resume, by `performance.now()`. */
  #receivedAt = 0;
  #frameRoom: { end(): void } | undefined;
  /** Whether memory for the whole frame is reserved. */
  #hasRoom = false;
  /** Memory of a frame that waits for memory, as counted in the budget. */
  #waitingBytes = 0;
  #isReading = true;

  constructor({ peer, socket, budget, maxFrameBytes, allowsClass, onIdle }: ConnectionParts) {
    this.peer = peer;
    this.socket = socket;
    this.#budget = budget;
    this.#decoder = new FrameDecoder(maxFrameBytes);
    this.pending = new PendingRequests(peer, {
      allowsClass,
      setReading: (isReading) => this.setReading("requests", isReading),
      onIdle,
      addWaiting: (bytes) => budget.addWaiting(bytes),
    });
  }

  /** Memory of the incomplete frame. */
  get unfinishedBytes(): number {
    return this.#decoder.heldBytes;
  }

  /** Whether the incomplete frame began before `time` although the peer is read from. */
  isFrameOlderThan(time: number): boolean {
    return this.#isReading && this.#frameSince !== undefined && this.#frameSince < time;
  }

  /** Whether memory is reserved for a frame of which no bytes have arrived since `time`. */
  hasIdleRoom(time: number): boolean {
    return this.#isReading && this.#hasRoom && this.#receivedAt < time;
  }

  push(chunk: Buffer): DecodedFrames {
    this.#receivedAt = performance.now();
    const decoded = this.#decoder.push(chunk);
    if (this.#decoder.heldBytes === 0) this.#frameSince = undefined;
    else if (decoded.messages.length > 0 || this.#frameSince === undefined) this.#frameSince = this.#receivedAt;
    this.#reserveRoom(decoded.messages.length > 0 || decoded.error !== null);
    return decoded;
  }

  setReading(reason: NotReading, isReading: boolean): void {
    if (isReading) this.#notReading.delete(reason);
    else this.#notReading.add(reason);
    this.#apply();
  }

  /** Drops the incomplete frame and releases its memory. */
  forgetFrame(): void {
    this.#decoder.forget();
    this.#endRoom();
  }

  /**
   * Pauses or resumes the socket. A frame with reserved memory is read to its end, because other frames wait for that
   * memory.
   */
  #apply(): void {
    const isAllStopped = this.#notReading.has("all") && !this.#hasRoom;
    const isReading = !isAllStopped && !this.#notReading.has("requests") && !this.#notReading.has("frame-room");
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (!isReading) {
      this.socket.pause();
      return;
    }
    // The time limit of a frame must not include the time in which we did not read.
    this.#receivedAt = performance.now();
    this.#frameSince = this.#decoder.heldBytes > 0 ? this.#receivedAt : undefined;
    this.socket.resume();
  }

  /** `isOver` means that the frame with reserved memory is complete or invalid. */
  #reserveRoom(isOver: boolean): void {
    if (isOver) this.#endRoom();
    const { declaredBytes } = this.#decoder;
    if (this.#frameRoom !== undefined || declaredBytes <= SMALL_FRAME) return;
    const room = this.#budget.reserveFrame(declaredBytes, () => this.#onRoom());
    this.#frameRoom = room;
    this.#hasRoom = room.isGranted;
    if (room.isGranted) return;
    this.setReading("frame-room", false);
    this.#countWaiting(this.#decoder.heldBytes);
  }

  #onRoom(): void {
    this.#hasRoom = true;
    this.#countWaiting(0);
    this.setReading("frame-room", true);
  }

  #endRoom(): void {
    this.#hasRoom = false;
    this.#countWaiting(0);
    this.#frameRoom?.end();
    this.#frameRoom = undefined;
    this.#apply();
  }

  #countWaiting(bytes: number): void {
    if (bytes === this.#waitingBytes) return;
    const added = bytes - this.#waitingBytes;
    this.#waitingBytes = bytes;
    this.#budget.addHeld(added);
  }
}
