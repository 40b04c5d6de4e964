/** How messages become frames. */
export type Joining = {
  readonly separator: string;
  /** No frame gets larger than this by joining; a larger message is a frame of its own. */
  readonly maxBytes: number;
};

/** Joins messages to frames, in their order. */
export class Joiner {
  readonly #joining: Joining;
  #frame = "";
  #bytes = 0;

  constructor(joining: Joining) {
    this.#joining = joining;
  }

  get isEmpty(): boolean {
    return this.#frame === "";
  }

  /** Gives back the frame before, if the message had no room in it. */
  push(message: string): string | undefined {
    const { separator, maxBytes } = this.#joining;
    const bytes = Buffer.byteLength(message);
    if (this.isEmpty) {
      this.#start(message, bytes);
      return undefined;
    }
    const joinedBytes = this.#bytes + separator.length + bytes;
    if (joinedBytes <= maxBytes) {
      this.#frame += separator + message;
      this.#bytes = joinedBytes;
      return undefined;
    }
    const full = this.#frame;
    this.#start(message, bytes);
    return full;
  }

  /** The last frame; empty where there is none. */
  take(): string {
    const frame = this.#frame;
    this.#start("", 0);
    return frame;
  }

  #start(message: string, bytes: number): void {
    this.#frame = message;
    this.#bytes = bytes;
  }
}
