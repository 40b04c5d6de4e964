import { createHistogram } from "node:perf_hooks";
import { nowMicros } from "../clock.ts";

const MAX_LATENCY_MICROS = 600_000_000;

export type Latency = { p50Micros: number; p99Micros: number; p999Micros: number; maxMicros: number; samples: number };

/**
 * Records the latencies of all connections in a high dynamic range histogram: microseconds with three significant
 * digits.
 */
export class Recorder {
  readonly #histogram = createHistogram({ lowest: 1, highest: MAX_LATENCY_MICROS, figures: 3 });
  readonly #from: number;
  readonly #every: number;
  #readAt = 0;

  /** Records the sequences from `from` on that are multiples of `every`. */
  constructor(from: number, every: number) {
    this.#from = from;
    this.#every = every;
  }

  /** Must be called before each read. The clock is read at most once per read. */
  startRead(): void {
    this.#readAt = 0;
  }

  wants(sequence: number): boolean {
    return sequence >= this.#from && (this.#every === 1 || sequence % this.#every === 0);
  }

  record(stampMicros: number): void {
    if (this.#readAt === 0) this.#readAt = nowMicros();
    const latency = Math.round(this.#readAt - stampMicros);
    this.#histogram.record(Math.min(Math.max(latency, 1), MAX_LATENCY_MICROS));
  }

  latency(): Latency {
    const histogram = this.#histogram;
    const samples = histogram.count;
    const at = (percent: number) => (samples === 0 ? 0 : histogram.percentile(percent));
    return {
      p50Micros: at(50),
      p99Micros: at(99),
      p999Micros: at(99.9),
      maxMicros: samples === 0 ? 0 : histogram.max,
      samples,
    };
  }
}
