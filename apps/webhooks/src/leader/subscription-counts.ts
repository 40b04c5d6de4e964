import { Throttle } from "./throttle.ts";

/** Above this, a topic's count is announced at most once in {@link BUSY_MS}. */
const BUSY_COUNT = 100;
const BUSY_MS = 5_000;

/** Decides which counts of subscriptions are announced. */
export class SubscriptionCounts {
  readonly #busy = new Throttle(BUSY_MS);
  readonly #changed = new Set<string>();
  readonly #announced = new Map<string, number>();

  onCount(topic: string): void {
    this.#changed.add(topic);
  }

  /** Returns the counts that are announced now. */
  *due(countOf: (topic: string) => number): Generator<{ readonly topic: string; readonly count: number }> {
    for (const topic of this.#changed) {
      const count = countOf(topic);
      if (count !== (this.#announced.get(topic) ?? 0)) {
        if (count > BUSY_COUNT && !this.#busy.mayPass(topic)) continue;
        if (count === 0) this.#announced.delete(topic);
        else this.#announced.set(topic, count);
        yield { topic, count };
      }
      this.#changed.delete(topic);
    }
  }
}
