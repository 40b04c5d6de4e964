/** Work of one kind in one tick of the event loop, in milliseconds. Several kinds together stay below 50 ms. */
const SLICE_MS = 8;
/** Steps, and bytes that count as one, between looks at the clock: a look costs as much as a small step. */
const STEPS_PER_LOOK = 8;
const BYTES_PER_STEP = 4_096;

/** Limits how long one kind of work occupies a tick of the event loop. */
export class Pace {
  #startedAt: number | undefined;
  #steps = 0;

  /** Whether this tick has done its share, after a step with so many bytes. The caller continues in a later tick then. */
  isOverAfter(bytes: number): boolean {
    this.#steps += 1 + bytes / BYTES_PER_STEP;
    return this.#steps >= STEPS_PER_LOOK && this.isOver();
  }

  /** Whether this tick has done its share. */
  isOver(): boolean {
    this.#steps = 0;
    const now = performance.now();
    if (this.#startedAt !== undefined) return now - this.#startedAt >= SLICE_MS;
    this.#startedAt = now;
    setImmediate(() => {
      this.#startedAt = undefined;
    });
    return false;
  }
}
