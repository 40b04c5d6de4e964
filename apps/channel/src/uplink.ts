import type { Bus, HeaderEntries, SendOutcome } from "@fanwire/bus";

/** Asking NATS for a confirmation costs a round trip and a few microseconds: once for so many bytes. */
const WINDOW_BYTES = 262_144;
/** What a message costs beside its content, roughly: its subject, the client's bookkeeping. */
const OVERHEAD_BYTES = 100;

/**
 * Sends to NATS without waiting for each message, and knows how much NATS has not confirmed to have. While that is too
 * much, {@link isCongested} tells those who read from peers to stop, so that TCP slows down who publishes.
 */
export class Uplink {
  readonly #bus: Bus;
  readonly #maxBytes: number;
  readonly #maxReturningBytes: number;
  readonly #onFree: () => void;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #isConfirming = false;
  /** Somebody was told to wait. */
  #isWaitedFor = false;

  /**
   * `maxReturningBytes`: how much may be on its way to NATS while there are local subscribers to it, whom it comes back to.
   * `onFree` is called when those who were told to wait need not any more.
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

  /** The same for what comes back to subscribers of this server: NATS has sent it to us when it confirms it. */
  get isReturnCongested(): boolean {
    return this.#isBeyond(this.#maxReturningBytes);
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    const outcome = this.#bus.send(subject, content, headers);
    if (outcome === "sent") this.count(content.length);
    return outcome;
  }

  /** Counts something that the bus sends: a message's content, or a subscription's name. */
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
      // Nothing more goes to a connection that is lost or deaf, and it is replaced soon: what it holds is bounded.
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
