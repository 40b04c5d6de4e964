import type { Bus, HeaderEntries, SendOutcome } from "@fanwire/bus";

/** Bytes after which NATS is asked for a confirmation, because each costs a round trip. */
const WINDOW_BYTES = 262_144;
/** Approximate bytes of a message beside its content, for its subject and the client's bookkeeping. */
const OVERHEAD_BYTES = 100;

/**
 * Publishes to NATS without waiting for each message, and counts the bytes that NATS has not confirmed. Above a limit
 * {@link isCongested} pauses reading from peers, so that TCP backpressure slows publishers down.
 */
export class PublishWindow {
  readonly #bus: Bus;
  readonly #maxBytes: number;
  readonly #maxReturningBytes: number;
  readonly #onFree: () => void;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #isConfirming = false;
  /** Whether a caller has seen a limit exceeded. */
  #isWaitedFor = false;

  /**
   * `maxReturningBytes` bounds the unconfirmed bytes of events with local subscribers, to whom NATS returns them.
   * `onFree` is called when unconfirmed bytes fall below a limit that a caller has seen exceeded.
   */
  constructor(bus: Bus, maxBytes: number, maxReturningBytes: number, onFree: () => void) {
    this.#bus = bus;
    this.#maxBytes = maxBytes;
    this.#maxReturningBytes = Math.min(maxReturningBytes, maxBytes);
    this.#onFree = onFree;
  }

  get unconfirmedBytes(): number {
    return this.#sentBytes - this.#confirmedBytes;
  }

  get isCongested(): boolean {
    return this.#isBeyond(this.#maxBytes);
  }

  /** Whether events with local subscribers must wait. When NATS confirms them, it has already returned them to us. */
  get isReturnCongested(): boolean {
    return this.#isBeyond(this.#maxReturningBytes);
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    const outcome = this.#bus.send(subject, content, headers);
    if (outcome === "sent") this.count(content.length);
    return outcome;
  }

  /** Counts a message that the bus sends, with the bytes of its content, or a subscription with those of its name. */
  count(bytes: number): void {
    this.#sentBytes += bytes + OVERHEAD_BYTES;
    if (!this.#isConfirming && this.unconfirmedBytes >= this.#windowBytes) void this.#confirmUntilFew();
  }

  async #confirmUntilFew(): Promise<void> {
    this.#isConfirming = true;
    while (this.unconfirmedBytes >= this.#windowBytes) {
      const sentBytes = this.#sentBytes;
      const isConfirmed = await this.#bus.confirm();
      if (isConfirmed) this.#confirmedBytes = sentBytes;
      // A lost or stalled connection accepts nothing more and is replaced soon, so its unconfirmed bytes are bounded.
      else if (!this.#bus.health().alive) this.#confirmedBytes = this.#sentBytes;
      if (this.#isWaitedFor && this.unconfirmedBytes < this.#maxReturningBytes) {
        this.#isWaitedFor = false;
        this.#onFree();
      }
    }
    this.#isConfirming = false;
  }

  get #windowBytes(): number {
    return Math.min(WINDOW_BYTES, this.#maxReturningBytes);
  }

  #isBeyond(maxBytes: number): boolean {
    const isBeyond = this.unconfirmedBytes >= maxBytes;
    if (isBeyond) this.#isWaitedFor = true;
    return isBeyond;
  }
}
