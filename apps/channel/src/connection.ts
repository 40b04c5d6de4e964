import type { Socket } from "node:net";
import type { BufferBudget } from "./buffer-budget.ts";
import { Conversation } from "./conversations.ts";
import { type DecodedFrames, FrameDecoder } from "./frames.ts";
import type { Peer } from "./peer.ts";

/** An unfinished frame larger than this needs room in the budget before more of it is read. */
const SMALL_FRAME = 4_096;

/** Why a peer is not read from: it waits for its own requests, for room for its frame, or all peers wait. */
export type NotReading = "requests" | "frame-room" | "all";

type ConnectionParts = {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly budget: BufferBudget;
  readonly maxFrameBytes: number;
  /** Everything that the peer said is carried out. */
  onIdle(): void;
};

/** The receiving side of one peer's connection: its frames until they are handed on, and whether it is read from. */
export class Connection {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly conversation: Conversation;
  readonly #budget: BufferBudget;
  readonly #decoder: FrameDecoder;
  readonly #notReading = new Set<NotReading>();
  /** Since when an unfinished frame has been coming, by `performance.now()`; `undefined`: none is. */
  #frameSince: number | undefined;
  /** When something came last, or when reading was resumed, by `performance.now()`. */
  #receivedAt = 0;
  #frameRoom: { end(): void } | undefined;

  constructor({ peer, socket, budget, maxFrameBytes, onIdle }: ConnectionParts) {
    this.peer = peer;
    this.socket = socket;
    this.#budget = budget;
    this.#decoder = new FrameDecoder(maxFrameBytes);
    this.conversation = new Conversation(peer, {
      setReading: (isReading) => this.setReading("requests", isReading),
      onIdle,
      addWaiting: (bytes) => budget.addWaiting(bytes),
    });
  }

  /** Memory of an unfinished frame. */
  get unfinishedBytes(): number {
    return this.#decoder.heldBytes;
  }

  /** Whether the frame that is coming began before `time` and the peer alone is to blame. */
  isFrameOlderThan(time: number): boolean {
    return this.#notReading.size === 0 && this.#frameSince !== undefined && this.#frameSince < time;
  }

  /** Whether it has room for a frame of which nothing has come since `time`. */
  hasIdleRoom(time: number): boolean {
    return this.#notReading.size === 0 && this.#frameRoom !== undefined && this.#receivedAt < time;
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
    const wasReading = this.#notReading.size === 0;
    if (isReading) this.#notReading.delete(reason);
    else this.#notReading.add(reason);
    const isReadingNow = this.#notReading.size === 0;
    if (isReadingNow === wasReading) return;
    if (!isReadingNow) {
      this.socket.pause();
      return;
    }
    // The time for which we do not read is not the sender's.
    this.#receivedAt = performance.now();
    this.#frameSince = this.#decoder.heldBytes > 0 ? this.#receivedAt : undefined;
    this.socket.resume();
  }

  /** Gives back what an unfinished frame holds. */
  forgetFrame(): void {
    this.#decoder.forget();
    this.#frameRoom?.end();
    this.#frameRoom = undefined;
  }

  /** `isOver`: the frame for which there was room is no longer coming. */
  #reserveRoom(isOver: boolean): void {
    if (isOver) {
      this.#frameRoom?.end();
      this.#frameRoom = undefined;
    }
    const { declaredBytes } = this.#decoder;
    if (this.#frameRoom !== undefined || declaredBytes <= SMALL_FRAME) return;
    const room = this.#budget.reserveFrame(declaredBytes, () => this.setReading("frame-room", true));
    this.#frameRoom = room;
    if (!room.isGranted) this.setReading("frame-room", false);
  }
}
