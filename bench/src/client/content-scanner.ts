import { CONTENT_BYTES, MAGIC } from "../content.ts";

/** Called for every content. It begins at `start` of `bytes`, which are valid only during the call. */
export type OnContent = (bytes: Uint8Array, start: number) => void;

/** Finds the contents in a stream of bytes with anything between them: JSON, event streams, the NATS protocol. */
export class ContentScanner {
  readonly #onContent: OnContent;
  /** Beginning of a content that a read cut off. */
  #held: Buffer | undefined;

  constructor(onContent: OnContent) {
    this.#onContent = onContent;
  }

  /** Returns the number of contents that ended in this piece. */
  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#held !== undefined) return this.#finishHeld(this.#held, bytes, start, end);
    let found = 0;
    for (let at = start; at < end; at++) {
      if (bytes[at] !== MAGIC) continue;
      if (end - at < CONTENT_BYTES) {
        this.#held = Buffer.from(bytes.subarray(at, end));
        break;
      }
      this.#onContent(bytes, at);
      found++;
      at += CONTENT_BYTES - 1;
    }
    return found;
  }

  #finishHeld(held: Buffer, bytes: Uint8Array, start: number, end: number): number {
    const next = Math.min(end, start + CONTENT_BYTES - held.length);
    const joined = Buffer.concat([held, bytes.subarray(start, next)]);
    this.#held = joined.length < CONTENT_BYTES ? joined : undefined;
    if (this.#held !== undefined) return 0;
    this.#onContent(joined, 0);
    return 1 + this.read(bytes, next, end);
  }
}
