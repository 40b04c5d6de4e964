import { isAfter } from "./position.ts";

/** Position of a client in the history, over all its live subscriptions. Workers deliver these in one order. */
export class Progress {
  #position: string | undefined;
  /**
   * Position of the user's publications from before a refresh command until they have caught up. Workers do not mark
   * the end of that, so that only the reply to a ping ends it.
   */
  userSince: string | undefined;

  constructor(position: string | undefined) {
    this.#position = position;
  }

  /** New connections resume from it. */
  get position(): string | undefined {
    return this.#position;
  }

  /** Records that the worker has sent everything up to `position`. */
  advance(position: string): void {
    if (this.#position === undefined || isAfter(position, this.#position)) this.#position = position;
  }

  /** Continues from `position`, whatever was recorded before. */
  restart(position: string | undefined): void {
    this.#position = position;
  }
}
