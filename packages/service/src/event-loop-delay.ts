import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/**
 * Each sample wakes an idle process up, which is expensive on virtual machines: 50 samples a second dominate its CPU
 * time.
 */
const SAMPLE_EVERY_MS = 100;
/** The longest delay is kept for this many parts of {@link PART_MS}. */
const PARTS = 5;
const PART_MS = 2_000;

/**
 * Measures how late the event loop runs a timer. Its metrics and the descriptions of the process share the samples.
 * Node's own monitor has one maximum, which a reader resets for the other.
 */
export class EventLoopDelay {
  /** Delays in nanoseconds. Its reader resets it. */
  readonly histogram: RecordableHistogram = createHistogram();
  readonly #longest: number[] = [0];
  readonly #timer: NodeJS.Timeout;
  #part = 0;
  #sampledAt = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Longest delay within about the last ten seconds, in milliseconds, rounded to tenths. */
  get longestMs(): number {
    // A tick that still runs when a message is processed has delayed the next sample already.
    const running = performance.now() - this.#sampledAt - SAMPLE_EVERY_MS;
    return Math.round(Math.max(0, running, ...this.#longest) * 10) / 10;
  }

  #sample(): void {
    const now = performance.now();
    const delayMs = Math.max(0, now - this.#sampledAt - SAMPLE_EVERY_MS);
    this.#sampledAt = now;
    // Histograms have no zero.
    this.histogram.record(Math.max(1, Math.round(delayMs * 1e6)));
    const part = Math.floor(now / PART_MS);
    if (part !== this.#part) this.#longest.push(0);
    this.#part = part;
    if (this.#longest.length > PARTS) this.#longest.shift();
    const last = this.#longest.length - 1;
    this.#longest[last] = Math.max(this.#longest[last] ?? 0, delayMs);
  }
}

let shared: EventLoopDelay | undefined;

/** Returns the measurement of this process, which begins with the first call. */
export function eventLoopDelay(): EventLoopDelay {
  shared ??= new EventLoopDelay();
  return shared;
}
