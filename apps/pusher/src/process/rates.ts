/** Turns counters into averages over the last seconds. */
export class Rates<Name extends string> {
  readonly #windowSamples: number;
  readonly #samples: { readonly at: number; readonly totals: Readonly<Record<Name, number>> }[] = [];

  /** The window is the time between the first and the last of `windowSamples` samples. */
  constructor(windowSamples: number) {
    this.#windowSamples = windowSamples;
  }

  /** `at` in milliseconds. */
  sample(at: number, totals: Readonly<Record<Name, number>>): void {
    this.#samples.push({ at, totals: { ...totals } });
    if (this.#samples.length > this.#windowSamples) this.#samples.shift();
  }

  /** Returns the rate per second, rounded to one decimal; 0 before the second sample. */
  perSecond(name: Name): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at <= first.at) return 0;
    return Math.round(((last.totals[name] - first.totals[name]) / (last.at - first.at)) * 10_000) / 10;
  }
}
