/** Memory that several peers may share: it counts once, however many hold it. */
export type SharedBytes = { readonly bytes: number; holders: number };

/** Shares of the budget. Each kind of buffer has its own, so that none waits for room that only it can free. */
const OUTBOUND_HIGH = 1 / 2;
const OUTBOUND_LOW = 1 / 4;
const FRAMES = 1 / 4;
const WAITING_HIGH = 1 / 8;
const WAITING_LOW = 1 / 16;

type BufferBudgetParts = {
  readonly maxBytes: number;
  /** Bytes that the outlet keeps until the end of the tick. */
  batchBytes(): number;
  /** There is room again that {@link BufferBudget.isOutboundHigh} denied to somebody. */
  onOutboundLow(): void;
  /** Requests that wait hold too much: no peer may be read from until they hold less. */
  onWaiting(isHigh: boolean): void;
};

type FrameRequest = { readonly bytes: number; readonly onGranted: () => void };

/**
 * Counts the memory of all peers' buffers: frames that have not arrived whole, requests that wait, and bytes that are not
 * sent. Publishers wait at half of it, large frames and waiting requests have a part of their own.
 */
export class BufferBudget {
  readonly #parts: BufferBudgetParts;
  /** Large frames that wait for room, in the order of their arrival. */
  readonly #frameRequests = new Set<FrameRequest>();
  #outboundBytes = 0;
  #frameBytes = 0;
  #waitingBytes = 0;
  /** The part of `#waitingBytes` that frames hold which wait for room. */
  #heldBytes = 0;
  #isOutboundDenied = false;
  #isWaitingHigh = false;

  constructor(parts: BufferBudgetParts) {
    this.#parts = parts;
  }

  get usedBytes(): number {
    return this.outboundBytes + this.#frameBytes + this.#waitingBytes;
  }

  get outboundBytes(): number {
    return this.#outboundBytes + this.#parts.batchBytes();
  }

  /** Large frames that wait for room. */
  get waitingFrames(): number {
    return this.#frameRequests.size;
  }

  /** Whether publishers must wait for subscribers to read. Somebody who asks is called back when they need not. */
  get isOutboundHigh(): boolean {
    const isHigh = this.outboundBytes >= this.#parts.maxBytes * OUTBOUND_HIGH;
    if (isHigh) this.#isOutboundDenied = true;
    return isHigh;
  }

  get isOutboundDenied(): boolean {
    return this.#isOutboundDenied;
  }

  get isOver(): boolean {
    return this.usedBytes > this.#parts.maxBytes;
  }

  get excessBytes(): number {
    return Math.max(0, this.usedBytes - this.#parts.maxBytes);
  }

  hold(shared: SharedBytes): void {
    if (shared.holders++ === 0) this.#outboundBytes += shared.bytes;
  }

  release(shared: SharedBytes): void {
    if (--shared.holders > 0) return;
    this.#outboundBytes -= shared.bytes;
    this.checkOutbound();
  }

  /** Must be called when {@link BufferBudgetParts.batchBytes} has become less. */
  checkOutbound(): void {
    if (!this.#isOutboundDenied || this.outboundBytes >= this.#parts.maxBytes * OUTBOUND_LOW) return;
    this.#isOutboundDenied = false;
    this.#parts.onOutboundLow();
  }

  /**
   * Reserves room for a frame. Without room `onGranted` is called later; the returned function gives the room back, or
   * takes the request back.
   */
  reserveFrame(bytes: number, onGranted: () => void): { readonly isGranted: boolean; end(): void } {
    const request: FrameRequest = { bytes, onGranted };
    const isGranted = this.#frameRequests.size === 0 && this.#hasRoomFor(bytes);
    if (isGranted) this.#frameBytes += bytes;
    else this.#frameRequests.add(request);
    const end = () => {
      if (!this.#frameRequests.delete(request)) this.#frameBytes -= bytes;
      this.#grantFrames();
    };
    return { isGranted, end };
  }

  /** Counts memory of requests that wait; a negative number when they wait no more. */
  addWaiting(bytes: number): void {
    this.#waitingBytes += bytes;
    if (bytes < 0) this.#grantFrames();
    const limit = this.#parts.maxBytes * (this.#isWaitingHigh ? WAITING_LOW : WAITING_HIGH);
    const isHigh = this.#waitingBytes >= limit;
    if (isHigh === this.#isWaitingHigh) return;
    this.#isWaitingHigh = isHigh;
    this.#parts.onWaiting(isHigh);
  }

  /** Counts memory of frames that wait for room; a negative number when they wait no more. */
  addHeld(bytes: number): void {
    this.#heldBytes += bytes;
    this.addWaiting(bytes);
  }

  /**
   * One frame always has room, so that no frame is too large for the budget. A frame that has come whole is a request that
   * may have to wait: then it still takes the room of another frame.
   */
  #hasRoomFor(bytes: number): boolean {
    const taken = this.#frameBytes + this.#waitingBytes - this.#heldBytes;
    return taken === 0 || taken + bytes <= this.#parts.maxBytes * FRAMES;
  }

  #grantFrames(): void {
    for (const request of this.#frameRequests) {
      if (!this.#hasRoomFor(request.bytes)) return;
      this.#frameRequests.delete(request);
      this.#frameBytes += request.bytes;
      request.onGranted();
    }
  }
}
