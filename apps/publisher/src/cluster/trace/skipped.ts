/** Number of publications and events that a trace left out; null if it is not known. */
export type SkippedCounts = { readonly publications: number | null; readonly events: number | null };

/** Counts what a trace leaves out. One unknown number makes the sum unknown. */
export class Skipped {
  #publications: number | null = 0;
  #events: number | null = 0;

  add(kind: "publications" | "events", count: number | null): void {
    if (kind === "publications") this.#publications = sum(this.#publications, count);
    else this.#events = sum(this.#events, count);
  }

  get isEmpty(): boolean {
    return this.#publications === 0 && this.#events === 0;
  }

  get counts(): SkippedCounts {
    return { publications: this.#publications, events: this.#events };
  }

  clear(): void {
    this.#publications = 0;
    this.#events = 0;
  }
}

function sum(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}
