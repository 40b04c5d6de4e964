/** Memory that several peers may share. It counts once for all its holders. */
export type SharedBytes = { readonly bytes: number; holders: number };

/**
 * Shares of the budget. Each kind of buffer has its own share, so that no kind waits for memory that only it can free.
 */
const OUTBOUND_HIGH = 1 / 2;
const OUTBOUND_LOW = 1 / 4;
const FRAMES = 1 / 4;
const WAITING_HIGH = 1 / 8;
const WAITING_LOW = 1 / 16;

type BufferBudgetParts = {
  readonly maxBytes: number;
  /** Returns the bytes that the flush scheduler buffers until the end of the tick. */
  batchBytes(): number;
  /** Called when {@link BufferBudget.isOutboundHigh} has been true for a caller and is false again. */
  onOutboundLow(): void;
  /**
   * Called when waiting requests exceed their share, and when they no longer do. In between, no peer may be read from.
   */
  onWaiting(isHigh: boolean): void;
};

type FrameRequest = { readonly bytes: number; readonly onGranted: () => void };

/**
 * Counts the memory of all peers' buffers: incomplete frames, waiting requests and unsent bytes. Publishers wait when
 * unsent bytes take half of the budget. Large frames and waiting requests have shares of their own.
 */
export class BufferBudget {
  readonly #parts: BufferBudgetParts;
  /** Large frames that wait for memory, in order of arrival. */
  readonly #frameRequests = new Set<FrameRequest>();
  #outboundBytes = 0;
  #frameBytes = 0;
  #waitingBytes = 0;
  /** The part of `#waitingBytes` that belongs to frames waiting for memory. */
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

  /** Number of large frames that wait for memory. */
  get waitingFrames(): number {
    return this.#frameRequests.size;
  }

  /**
   * Whether publishers must wait for subscribers to read. After `true`, `onOutboundLow` is called when the wait is
   * over.
   */
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

  hold(shared: SharedBytes): void {
    if (shared.holders++ === 0) this.#outboundBytes += shared.bytes;
  }

  release(shared: SharedBytes): void {
    if (--shared.holders > 0) return;
    this.#outboundBytes -= shared.bytes;
    this.checkOutbound();
  }

  /** Must be called when {@link BufferBudgetParts.batchBytes} has decreased. */
  checkOutbound(): void {
    if (!this.#isOutboundDenied || this.outboundBytes >= this.#parts.maxBytes * OUTBOUND_LOW) return;
    this.#isOutboundDenied = false;
    this.#parts.onOutboundLow();
  }

  /**
   * Reserves memory for a frame. If there is not enough, `onGranted` is called later. The returned function releases
   * the memory or cancels the request.
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

  /** Counts memory of waiting requests. A negative number means that requests no longer wait. */
  addWaiting(bytes: number): void {
    this.#waitingBytes += bytes;
    if (bytes < 0) this.#grantFrames();
    const limit = this.#parts.maxBytes * (this.#isWaitingHigh ? WAITING_LOW : WAITING_HIGH);
    const isHigh = this.#waitingBytes >= limit;
    if (isHigh === this.#isWaitingHigh) return;
    this.#isWaitingHigh = isHigh;
    this.#parts.onWaiting(isHigh);
  }

  /** Counts memory of frames that wait for memory. A negative number means that frames no longer wait. */
  addHeld(bytes: number): void {
    this.#heldBytes += bytes;
    this.addWaiting(bytes);
  }

  /**
   * One frame always fits, so that no frame is too large for the budget. A complete frame is a request, and a waiting
   * request takes the memory of another frame.
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
