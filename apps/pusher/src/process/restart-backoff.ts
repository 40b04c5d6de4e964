const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 30_000;
/** A worker that lived so long is taken to be well: its next death starts from the shortest delay again. */
const STABLE_AFTER_MS = 30_000;

/** How long to wait before a dead worker is started again, doubling while it keeps dying young. */
export class RestartBackoff {
  #nextMs = FIRST_DELAY_MS;

  delayAfter(livedMs: number): number {
    if (livedMs >= STABLE_AFTER_MS) this.#nextMs = FIRST_DELAY_MS;
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
    return delayMs;
  }
}
