import { SharedAnswer } from "../shared-answer.ts";
import type { Failed } from "./failures.ts";
import type { HistoryStream, OpenStream } from "./stream.ts";

/** A recreated stream is noticed after this time at the latest, while anybody appends or reads. */
const TRUSTED_FOR_MS = 1_000;

/** Remembers how the stream was last seen, and when that is not worth much any more. */
export class StreamWatch {
  readonly #shared: SharedAnswer<OpenStream | Failed>;
  readonly #disconnects: () => number;
  #seen: OpenStream | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenAtDisconnects = -1;
  #isDoubted = true;
  #highest = 0;

  /** @param disconnects how often NATS was lost so far: after each, the stream may be another one. */
  constructor(stream: Pick<HistoryStream, "open">, disconnects: () => number) {
    this.#disconnects = disconnects;
    this.#shared = new SharedAnswer(() => this.#look(stream));
  }

  get epoch(): string | undefined {
    return this.#seen?.history.epoch;
  }

  /** For how long the stream knows what was stored under a message id, in milliseconds. */
  get duplicateWindowMs(): number {
    return this.#seen?.duplicateWindowMs ?? 0;
  }

  /** The stream, as long as nothing speaks against its being the one last seen. */
  get current(): OpenStream | undefined {
    return this.#isDoubted || this.#seenAtDisconnects !== this.#disconnects() ? undefined : this.#seen;
  }

  /** Asks; creates the stream when it is missing. */
  refresh(): Promise<OpenStream | Failed> {
    return this.#shared.get();
  }

  doubt(): void {
    this.#isDoubted = true;
  }

  /** The epoch of a publication that was stored just now. Asks again when its sequence does not follow those seen before. */
  async epochAt(sequence: number, isDuplicate: boolean): Promise<string | undefined> {
    const isOld = performance.now() - this.#seenAt > TRUSTED_FOR_MS;
    const isBackwards = !isDuplicate && sequence <= this.#highest;
    this.#highest = Math.max(this.#highest, sequence);
    if (this.current === undefined || isOld || isBackwards) await this.refresh();
    return this.epoch;
  }

  async #look(stream: Pick<HistoryStream, "open">): Promise<OpenStream | Failed> {
    const disconnects = this.#disconnects();
    const opened = await stream.open();
    if (!opened.ok) return opened;
    if (opened.history.epoch !== this.epoch) this.#highest = opened.history.lastSequence;
    this.#seen = opened;
    this.#seenAt = performance.now();
    this.#seenAtDisconnects = disconnects;
    this.#isDoubted = false;
    return opened;
  }
}
