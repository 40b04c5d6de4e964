import { isAfter } from "./position.ts";

/** A publication of which some copies have come, and others, for other subscriptions that match it, perhaps have not. */
type Partial = { readonly position: string; readonly received: Set<string> };

/** How far a connection has got in the history, over all its subscriptions together. */
export class Progress {
  #position: string | undefined;
  #partial: Partial | undefined;

  constructor(position: string | undefined) {
    this.#position = position;
  }

  /** Everything up to it has come, with all copies: where a new connection resumes. */
  get position(): string | undefined {
    return this.#position;
  }

  /** The newest of which anything has come. */
  get newest(): string | undefined {
    return this.#partial?.position ?? this.#position;
  }

  /** Counts a copy; `expected` are the subscriptions that match it. */
  receive(position: string, subscription: string, expected: readonly string[]): void {
    if (this.#partial?.position !== position) {
      if (this.newest !== undefined && !isAfter(position, this.newest)) return;
      // A worker sends in the order of the history: of what came before, no copy is missing.
      if (this.#partial !== undefined) this.#position = this.#partial.position;
      this.#partial = { position, received: new Set() };
    }
    const { received } = this.#partial;
    received.add(subscription);
    if (expected.every((name) => received.has(name))) this.restart(position);
  }

  /** The worker says that everything up to `position` was sent. */
  advance(position: string): void {
    if (this.#position !== undefined && !isAfter(position, this.#position)) return;
    this.#position = position;
    if (this.#partial !== undefined && !isAfter(this.#partial.position, position)) this.#partial = undefined;
  }

  /** Goes on from `position`, whatever came before. */
  restart(position: string | undefined): void {
    this.#position = position;
    this.#partial = undefined;
  }
}
