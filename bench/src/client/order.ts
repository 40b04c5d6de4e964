/** What went wrong with the deliveries of one connection, or of all together. */
export type Faults = {
  /** Never arrived. */
  missing: number;
  /** Arrived once more than they should. */
  repeated: number;
  /** Arrived, but after a later one. */
  late: number;
};

/** Skipped sequences remembered by one connection: beyond it a late arrival counts as repeated. Both are faults. */
const MAX_SKIPPED = 10_000;

/** Checks that the sequences 0, 1, 2, … arrive, each once and in order. */
export class Order {
  /** One more than the highest sequence seen. */
  next = 0;
  #missing = 0;
  #repeated = 0;
  #late = 0;
  #skipped: Set<number> | undefined;

  accept(sequence: number): void {
    if (sequence === this.next) this.next++;
    else this.#surprise(sequence);
  }

  /** `expected`: how many publications there were. */
  faults(expected: number): Faults {
    return {
      missing: this.#missing + Math.max(0, expected - this.next),
      repeated: this.#repeated,
      late: this.#late,
    };
  }

  #surprise(sequence: number): void {
    if (sequence > this.next) {
      this.#missing += sequence - this.next;
      this.#skipped ??= new Set();
      for (let skipped = this.next; skipped < sequence && this.#skipped.size < MAX_SKIPPED; skipped++) {
        this.#skipped.add(skipped);
      }
      this.next = sequence + 1;
    } else if (this.#skipped?.delete(sequence)) {
      this.#missing--;
      this.#late++;
    } else {
      this.#repeated++;
    }
  }
}
