/** Several times as long as the replacement of a failed webhook sender takes. */
const KEEP_MS = 60_000;
const MAX_KEPT_BYTES = 4_194_304;

type Kept = { readonly fact: string; readonly at: number };

/** The last events of this worker, for a webhook sender that has missed the report with them. */
export class KeptEvents {
  #events: Kept[] = [];
  #first = 0;
  #bytes = 0;

  add(fact: string): void {
    this.#events.push({ fact, at: performance.now() });
    this.#bytes += fact.length;
    this.#drop();
  }

  /** Returns the kept events, the oldest first. */
  facts(): string[] {
    this.#drop();
    return this.#events.slice(this.#first).map(({ fact }) => fact);
  }

  #drop(): void {
    const oldest = performance.now() - KEEP_MS;
    for (let kept = this.#events[this.#first]; kept !== undefined; kept = this.#events[this.#first]) {
      if (kept.at >= oldest && this.#bytes <= MAX_KEPT_BYTES) break;
      this.#bytes -= kept.fact.length;
      this.#first++;
    }
    if (this.#first < 1_000 || this.#first < this.#events.length / 2) return;
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}
