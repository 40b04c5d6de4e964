/** Work of one kind in one tick of the event loop, in milliseconds. Several kinds together stay below 50 ms. */
const SLICE_MS = 8;

/** Limits how long one kind of work occupies a tick of the event loop. */
export class Pace {
  #startedAt: number | undefined;

  /** Whether this tick has done its share. The caller continues in a later tick then. */
  isOver(): boolean {
    const now = performance.now();
    if (this.#startedAt !== undefined) return now - this.#startedAt >= SLICE_MS;
    this.#startedAt = now;
    setImmediate(() => {
      this.#startedAt = undefined;
    });
    return false;
  }
}
