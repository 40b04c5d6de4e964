import type { Pace } from "./pace.ts";

/** Visits the entries of a live collection over several ticks, so that thousands of them do not take one long tick. */
export class PacedWalk<T> {
  readonly #pace: Pace;
  readonly #visit: (entry: T) => void;
  #rest: Iterator<T> | undefined;

  constructor(pace: Pace, visit: (entry: T) => void) {
    this.#pace = pace;
    this.#visit = visit;
  }

  /**
   * Begins a walk, unless an earlier one continues. `entries` may change meanwhile if its iterator allows that, as
   * those of maps and sets do.
   */
  begin(entries: Iterable<T>): void {
    if (this.#rest !== undefined) return;
    this.#rest = entries[Symbol.iterator]();
    this.#continue();
  }

  #continue(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    for (let next = rest.next(); !next.done; next = rest.next()) {
      this.#visit(next.value);
      if (!this.#pace.isOverAfter(0)) continue;
      setImmediate(() => this.#continue());
      return;
    }
    this.#rest = undefined;
  }
}
