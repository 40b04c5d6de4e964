import { isAfter } from "./position.ts";

/** A publication with several matching subscriptions, of which some have received their copy. */
type Partial = { readonly position: string; readonly received: Set<string> };

/** Tracks how far a client has read the history, over all its live subscriptions. */
export class Progress {
  #position: string | undefined;
  #partial: Partial | undefined;

  constructor(position: string | undefined) {
    this.#position = position;
  }

  /** Position up to which every copy was received: new connections resume from it. */
  get position(): string | undefined {
    return this.#position;
  }

  /** Newest position of which any copy was received. */
  get newest(): string | undefined {
    return this.#partial?.position ?? this.#position;
  }

  /** Records a copy. `expected`: the live subscriptions that match the publication. */
  receive(position: string, subscription: string, expected: readonly string[]): void {
    if (this.#partial?.position !== position) {
      if (this.newest !== undefined && !isAfter(position, this.newest)) return;
      // Workers deliver in stream order, so all copies of the previous publication were received.
      if (this.#partial !== undefined) this.#position = this.#partial.position;
      this.#partial = { position, received: new Set() };
    }
    const { received } = this.#partial;
    received.add(subscription);
    if (expected.every((name) => received.has(name))) this.restart(position);
  }

  /** Records that the worker has sent everything up to `position`. */
  advance(position: string): void {
    if (this.#position !== undefined && !isAfter(position, this.#position)) return;
    this.#position = position;
    if (this.#partial !== undefined && !isAfter(this.#partial.position, position)) this.#partial = undefined;
  }

  /** Continues from `position`, whatever was recorded before. */
  restart(position: string | undefined): void {
    this.#position = position;
    this.#partial = undefined;
  }
}
