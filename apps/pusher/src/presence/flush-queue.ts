import type { SlicedWork } from "../pacing/sliced-work.ts";

/** Members above which changes are collected for longer, because each is written to many connections. */
const LARGE = 100;
const LARGE_EVERY_MS = 100;

type Flushed = { readonly view: { readonly shown: number }; flushedAt: number };

/** Flushes topics when the event-loop tick ends, large ones at most every 100 ms. Many topics take several ticks. */
export class FlushQueue<Topic extends Flushed> {
  readonly #flush: (topic: Topic) => void;
  readonly #due = new Set<Topic>();
  readonly #timers = new Map<Topic, NodeJS.Timeout>();
  readonly #work: SlicedWork;
  #isFlushing = false;

  constructor(work: SlicedWork, flush: (topic: Topic) => void) {
    this.#work = work;
    this.#flush = flush;
  }

  add(topic: Topic): void {
    if (this.#due.has(topic) || this.#timers.has(topic)) return;
    const waitMs = topic.view.shown > LARGE ? topic.flushedAt + LARGE_EVERY_MS - performance.now() : 0;
    if (waitMs <= 0) this.#addDue(topic);
    else
      this.#timers.set(
        topic,
        setTimeout(() => {
          this.#timers.delete(topic);
          this.#addDue(topic);
        }, waitMs),
      );
  }

  remove(topic: Topic): void {
    this.#due.delete(topic);
    clearTimeout(this.#timers.get(topic));
    this.#timers.delete(topic);
  }

  #addDue(topic: Topic): void {
    this.#due.add(topic);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#work.add(this.#flushDue());
  }

  *#flushDue(): Iterable<void> {
    for (const topic of this.#due) {
      this.#due.delete(topic);
      topic.flushedAt = performance.now();
      this.#flush(topic);
      yield;
    }
    this.#isFlushing = false;
  }
}
