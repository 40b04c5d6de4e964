import type { Writable } from "node:stream";

const MAX_UNREAD_BYTES = 1_048_576;

/**
 * A destination for pino that holds up nobody: what the stream does not take is lost, beyond a mebibyte for a reader that has
 * stopped reading, and nothing is waited for at exit. Pino's own waits there, for ever, for a reader that is gone.
 */
export class LogOutput {
  /** Lines that the reader's slowness cost. */
  droppedLines = 0;
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
    // A reader that is gone, or a full disk, is no reason to end.
    stream.on("error", () => {});
  }

  write(line: string): void {
    if (this.#stream.writableLength < MAX_UNREAD_BYTES) this.#stream.write(line);
    else this.droppedLines++;
  }
}

export const standardOutput = new LogOutput(process.stdout);
