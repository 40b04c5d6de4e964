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
  readonly #onFree: () => void;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #isConfirming = false;

  constructor(bus: Bus, maxBytes: number, onFree: () => void) {
    this.#bus = bus;
    this.#maxBytes = maxBytes;
    this.#onFree = onFree;
  }

  get unconfirmedBytes(): number {
    return this.#sentBytes - this.#confirmedBytes;
  }

  get isCongested(): boolean {
    return this.unconfirmedBytes >= this.#maxBytes;
  }

  send(subject: string, content: Uint8Array, headers?: HeaderEntries): SendOutcome {
    const outcome = this.#bus.send(subject, content, headers);
    if (outcome === "sent") {
      this.#sentBytes += content.length + OVERHEAD_BYTES;
      if (!this.#isConfirming && this.unconfirmedBytes >= WINDOW_BYTES) void this.#confirmUntilFew();
    }
    return outcome;
  }

  async #confirmUntilFew(): Promise<void> {
    this.#isConfirming = true;
    while (this.unconfirmedBytes >= WINDOW_BYTES) {
      const sentBytes = this.#sentBytes;
      const isConfirmed = await this.#bus.confirm();
      if (isConfirmed) this.#confirmedBytes = sentBytes;
      // Nothing more goes to a connection that is lost or deaf, and it is replaced soon: what it holds is bounded.
      else if (!this.#bus.health().alive) this.#confirmedBytes = this.#sentBytes;
      if (!this.isCongested) this.#onFree();
    }
    this.#isConfirming = false;
  }
}
