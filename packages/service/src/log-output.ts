import type { Writable } from "node:stream";

const MAX_UNREAD_BYTES = 1_048_576;

/**
 * A destination for pino that never blocks. Beyond a mebibyte of unread lines it drops further ones, and at exit it
 * does not wait. Pino's own destination waits forever at exit for a reader that has stopped reading.
 */
export class LogOutput {
  /** Number of lines dropped because of a slow reader. */
  droppedLines = 0;
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    // A closed pipe or a full disk must not end the process.
    stream.on("error", () => {});
  }

  write(line: string): void {
    if (this.#stream.writableLength < MAX_UNREAD_BYTES) this.#stream.write(line);
    else this.droppedLines++;
  }
}

export const standardOutput = new LogOutput(process.stdout);
