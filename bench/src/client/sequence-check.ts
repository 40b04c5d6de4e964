/** Faults of the deliveries of one connection, or of all. */
export type Faults = {
  /** Number of deliveries that never arrived. */
  missing: number;
  /** Number of deliveries that arrived again. */
  repeated: number;
  /** Number of deliveries that arrived after a later one. */
  late: number;
};

/**
 * Maximum skipped sequences that a connection remembers. Beyond it a late arrival counts as repeated, which is a fault
 * too.
 */
const MAX_SKIPPED = 10_000;

/** Checks that the sequences 0, 1, 2, … arrive once and in order. */
export class SequenceCheck {
  /** Highest received sequence plus one. */
  next = 0;
  #missing = 0;
  #repeated = 0;
  #late = 0;
  #skipped: Set<number> | undefined;

  accept(sequence: number): void {
    if (sequence === this.next) this.next++;
    else this.#surprise(sequence);
  }

  /** @param expected number of publications. */
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
