import type { AnnouncedKeys } from "../cluster/held-changes.ts";
import { countKey } from "../cluster/keys.ts";
import { Throttle } from "./throttle.ts";

/** Above this, a topic's count is announced at most once in {@link BUSY_MS}. */
const BUSY_COUNT = 100;
const BUSY_MS = 5_000;

/** Decides which counts of subscriptions are announced. */
export class SubscriptionCounts {
  readonly #countOf: (topic: string) => number;
  /** Has a key for each topic whose last count, by this leader or an earlier one, was above 0. */
  readonly #counted: AnnouncedKeys;
  readonly #busy = new Throttle(BUSY_MS);
  readonly #changed = new Set<string>();
  /** Last counts of this leader. */
  readonly #announced = new Map<string, number>();

  constructor(countOf: (topic: string) => number, counted: AnnouncedKeys) {
    this.#countOf = countOf;
    this.#counted = counted;
  }

  onCount(topic: string): void {
    this.#changed.add(topic);
  }

  /** Returns the topics whose counts have to be announced now. */
  *due(): Generator<string> {
    for (const topic of this.#changed) {
      const count = this.#countOf(topic);
      const isDue = this.#isNew(topic, count);
      if (isDue && count > BUSY_COUNT && !this.#busy.mayPass(topic)) continue;
      this.#changed.delete(topic);
      if (isDue) yield topic;
    }
  }

  /** Returns the count of a topic if it has to be announced, and notes it as announced. */
  announce(topic: string): number | undefined {
    const count = this.#countOf(topic);
    if (!this.#isNew(topic, count)) return undefined;
    if (count === 0) {
      this.#announced.delete(topic);
      this.#counted.delete(countKey(topic));
    } else {
      this.#announced.set(topic, count);
      this.#counted.add(countKey(topic));
    }
    return count;
  }

  #isNew(topic: string, count: number): boolean {
    return count === 0 ? this.#counted.has(countKey(topic)) : count !== this.#announced.get(topic);
  }
}
