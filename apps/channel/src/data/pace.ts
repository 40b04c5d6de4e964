/**
 * Longest time that one kind of work takes in one event-loop tick. Four kinds may meet in a tick, and each takes longer
 * on a busy machine. So their sum must stay far below 50 ms.
 */
const SLICE_MS = 5;
/** Steps between two readings of the clock, because a reading costs as much as a small step. */
const STEPS_PER_LOOK = 8;
/** Number of bytes that count as one step. */
const BYTES_PER_STEP = 4_096;

/** Limits how long one kind of work occupies an event-loop tick. */
export class Pace {
  readonly #sliceMs: number;
  #startedAt: number | undefined;
  #steps = 0;

  constructor(sliceMs = SLICE_MS) {
    this.#sliceMs = sliceMs;
  }

  /** Counts a step that handled `bytes`. Returns true when the caller must continue in a later tick. */
  isOverAfter(bytes: number): boolean {
    this.#steps += 1 + bytes / BYTES_PER_STEP;
    return this.#steps >= STEPS_PER_LOOK && this.isOver();
  }

  /**
   * Returns true when the slice of this tick is used up. Reads the clock at every call. The slice begins with the first
   * call in a tick.
   */
  isOver(): boolean {
    this.#steps = 0;
    const now = performance.now();
    if (this.#startedAt !== undefined) return now - this.#startedAt >= this.#sliceMs;
    this.#startedAt = now;
    setImmediate(() => {
      this.#startedAt = undefined;
    });
    return false;
  }
}
