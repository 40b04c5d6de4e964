import type { Socket } from "node:net";
import type { BufferBudget } from "./buffer-budget.ts";
import { Conversation } from "./conversations.ts";
import { type DecodedFrames, FrameDecoder } from "./frames.ts";
import type { Peer } from "./peer.ts";
import type { ClassRule } from "./php-classes.ts";

/** An unfinished frame larger than this needs room in the budget before more of it is read. */
const SMALL_FRAME = 4_096;

/** Why a peer is not read from: it waits for its own requests, for room for its frame, or all peers wait. */
export type NotReading = "requests" | "frame-room" | "all";

type ConnectionParts = {
  readonly peer: Peer;
  readonly socket: Socket;
  readonly budget: BufferBudget;
  readonly maxFrameBytes: number;
  readonly allowsClass: ClassRule;
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
  /** The room is there, so that the frame may come whole. */
  #hasRoom = false;
  /** Memory of a frame that waits for room, as counted in the budget. */
  #waitingBytes = 0;
  #isReading = true;

  constructor({ peer, socket, budget, maxFrameBytes, allowsClass, onIdle }: ConnectionParts) {
    this.peer = peer;
    this.socket = socket;
    this.#budget = budget;
    this.#decoder = new FrameDecoder(maxFrameBytes);
    this.conversation = new Conversation(peer, {
      allowsClass,
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
    return this.#isReading && this.#frameSince !== undefined && this.#frameSince < time;
  }

  /** Whether it has room for a frame of which nothing has come since `time`. */
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

  /** Gives back what an unfinished frame holds. */
  forgetFrame(): void {
    this.#decoder.forget();
    this.#endRoom();
  }

  /** Starts or stops reading. A frame that has room comes to its end even when all peers wait: others wait for its room. */
  #apply(): void {
    const isAllStopped = this.#notReading.has("all") && !this.#hasRoom;
    const isReading = !isAllStopped && !this.#notReading.has("requests") && !this.#notReading.has("frame-room");
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (!isReading) {
      this.socket.pause();
      return;
    }
    // The time for which we do not read is not the sender's.
    this.#receivedAt = performance.now();
    this.#frameSince = this.#decoder.heldBytes > 0 ? this.#receivedAt : undefined;
    this.socket.resume();
  }

  /** `isOver`: the frame for which there was room is no longer coming. */
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
