import { Deque } from "../data/deque.ts";
import { Pace } from "../data/pace.ts";
import { finishSteps, type Steps } from "../data/steps.ts";

/**
 * Maximum bytes of waiting deliveries, beside the last one. Above it, deliveries are made at once, and NATS is not read
 * until they end.
 */
export const MAX_WAITING_BYTES = 8_388_608;
/** Memory in bytes of a waiting delivery beside its content. */
const DELIVERY_COST = 300;

/**
 * Longest time that deliveries take in one tick. All of them leave each peer in one write, so a shorter slice costs
 * more writes. Peers are flushed in other ticks than this.
 */
const SLICE_MS = 8;

type Delivery = { readonly bytes: number; readonly steps: Steps<void> };

/** Delivers messages from NATS to peers in order, over several ticks when there are many. */
export class Deliveries {
  readonly #waiting = new Deque<Delivery>();
  readonly #pace = new Pace(SLICE_MS);
  readonly #isFlushBehind: () => boolean;
  readonly #onIdle: () => void;
  #bytes = 0;
  #isPlanned = false;

  /** `onIdle` is called when no delivery waits any longer. */
  constructor(isFlushBehind: () => boolean, onIdle: () => void) {
    this.#isFlushBehind = isFlushBehind;
    this.#onIdle = onIdle;
  }

  /** Memory of the waiting deliveries in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Carries out a delivery now, or after all waiting ones. */
  add(contentBytes: number, steps: Steps<void>): void {
    if (this.#waiting.size === 0 && !this.#mustWait(contentBytes) && this.#isDone(steps)) return;
    const bytes = contentBytes + DELIVERY_COST;
    this.#waiting.push({ bytes, steps });
    this.#bytes += bytes;
    while (this.#bytes - bytes > MAX_WAITING_BYTES) this.#finishFirst();
    this.#plan();
  }

  /** Makes all waiting deliveries now. */
  finish(): void {
    while (this.#waiting.size > 0) this.#finishFirst();
  }

  #plan(): void {
    if (this.#isPlanned || this.#waiting.size === 0) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      for (let next = this.#waiting.first; next !== undefined; next = this.#waiting.first) {
        if (this.#mustWait(next.bytes) || !this.#isDone(next.steps)) break;
        this.#finishFirst();
      }
      if (this.#waiting.size > 0) this.#plan();
      else this.#onIdle();
    });
  }

  /**
   * Returns whether the next delivery, of `bytes`, must wait: until all peers are flushed, because they share the
   * encoded bytes of one round of deliveries, or for the next slice. Counts it as delivered otherwise.
   */
  #mustWait(bytes: number): boolean {
    return this.#isFlushBehind() || this.#pace.isOverAfter(bytes);
  }

  /** Returns false when the slice of this tick is used up before the last step. */
  #isDone(steps: Steps<void>): boolean {
    while (!steps.next().done) {
      if (this.#pace.isOver()) return false;
    }
    return true;
  }

  #finishFirst(): void {
    const delivery = this.#waiting.shift();
    if (delivery === undefined) return;
    this.#bytes -= delivery.bytes;
    finishSteps(delivery.steps);
  }
}
