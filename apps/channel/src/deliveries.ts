import { Deque } from "./core/deque.ts";
import { Pace } from "./pace.ts";

/** Deliveries beyond this are not put off any more: NATS waits then, since nothing is read from it meanwhile. */
const MAX_BYTES = 8_388_608;
/** Memory of a delivery that waits, beside its content. */
const DELIVERY_COST = 300;

/**
 * Longest time that deliveries take in one tick. All of them leave each peer in one write, so a shorter slice costs more writes.
 * Peers are flushed in other ticks than this.
 */
const SLICE_MS = 8;

type Delivery = { readonly bytes: number; readonly deliver: () => void };

/** Spreads what comes from NATS over several ticks when it goes to many peers, in order. */
export class Deliveries {
  readonly #waiting = new Deque<Delivery>();
  readonly #pace = new Pace(SLICE_MS);
  readonly #isOutletBehind: () => boolean;
  readonly #onIdle: () => void;
  #bytes = 0;
  #isPlanned = false;

  /** `onIdle` is called when nothing waits any more. */
  constructor(isOutletBehind: () => boolean, onIdle: () => void) {
    this.#isOutletBehind = isOutletBehind;
    this.#onIdle = onIdle;
  }

  /** Memory of the deliveries that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Calls `deliver` now, or after all that wait. */
  add(contentBytes: number, deliver: () => void): void {
    if (this.#waiting.size === 0 && !this.#mustWait()) {
      deliver();
      return;
    }
    const bytes = contentBytes + DELIVERY_COST;
    this.#waiting.push({ bytes, deliver });
    this.#bytes += bytes;
    while (this.#bytes > MAX_BYTES) this.#deliverFirst();
    this.#plan();
  }

  /** Delivers all that waits. */
  finish(): void {
    while (this.#waiting.size > 0) this.#deliverFirst();
  }

  #plan(): void {
    if (this.#isPlanned || this.#waiting.size === 0) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      while (this.#waiting.size > 0 && !this.#mustWait()) this.#deliverFirst();
      if (this.#waiting.size > 0) this.#plan();
      else this.#onIdle();
    });
  }

  /** Peers that are flushed in the same tick share what they are sent: the next tick begins when all are flushed. */
  #mustWait(): boolean {
    return this.#isOutletBehind() || this.#pace.isOverAfter(0);
  }

  #deliverFirst(): void {
    const delivery = this.#waiting.shift();
    if (delivery === undefined) return;
    this.#bytes -= delivery.bytes;
    delivery.deliver();
  }
}
