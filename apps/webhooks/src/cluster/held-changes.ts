import type { Key } from "./keys.ts";

/** Time for which the end of an occupied topic or of a membership is held back. */
const HOLD_MS = 3_000;

/** Keys that were announced as present. */
export type AnnouncedKeys = Iterable<Key> & {
  has(key: Key): boolean;
  add(key: Key): unknown;
  delete(key: Key): unknown;
};

type HeldChangesParts = {
  /** Whether any worker has the key now. */
  isPresent(key: Key): boolean;
  /** Called when a key may have to be announced. */
  onDue(key: Key): void;
  now(): number;
};

/**
 * Decides what has to be announced: the first worker that gets a key at once, the last one that loses it after a while.
 * Nothing is announced if a worker has it again within that time.
 */
export class HeldChanges {
  readonly #parts: HeldChangesParts;
  readonly #announced: AnnouncedKeys;
  /** Keys that no worker has, with the times at which they are given up, in this order. */
  readonly #held = new Map<Key, number>();
  #isSettled = false;

  /** @param announced what earlier senders announced. */
  constructor(parts: HeldChangesParts, announced: AnnouncedKeys) {
    this.#parts = parts;
    this.#announced = announced;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  get heldKeys(): number {
    return this.#held.size;
  }

  onPresence(key: Key, isPresent: boolean): void {
    if (!isPresent) {
      this.#held.set(key, this.#parts.now() + HOLD_MS);
      return;
    }
    this.#held.delete(key);
    if (!this.#announced.has(key)) this.#parts.onDue(key);
  }

  /**
   * Must be called when the state of all workers is known. Before that, a key that no known worker has may be on
   * another one, so none is given up.
   */
  settle(): void {
    this.#isSettled = true;
    const until = this.#parts.now() + HOLD_MS;
    for (const key of this.#announced) {
      if (!this.#parts.isPresent(key) && !this.#held.has(key)) this.#held.set(key, until);
    }
  }

  /** Gives up the keys whose time is over. */
  expire(): void {
    if (!this.#isSettled) return;
    const now = this.#parts.now();
    for (const [key, until] of this.#held) {
      if (until > now) return;
      this.#held.delete(key);
      this.#parts.onDue(key);
    }
  }

  /** Returns what has to be announced of a key now, and notes it as announced. */
  announce(key: Key): "present" | "absent" | undefined {
    const isPresent = this.#parts.isPresent(key) || this.#held.has(key);
    if (isPresent === this.#announced.has(key)) return undefined;
    if (isPresent) this.#announced.add(key);
    else this.#announced.delete(key);
    return isPresent ? "present" : "absent";
  }

  /**
   * Notes a key as announced that is present or about to be. Returns false if it was announced before. It is given up
   * like any other if no worker gets it within the time.
   */
  announceEarly(key: Key): boolean {
    if (this.#announced.has(key)) return false;
    this.#held.delete(key);
    if (!this.#parts.isPresent(key)) this.#held.set(key, this.#parts.now() + HOLD_MS);
    this.#announced.add(key);
    return true;
  }
}
