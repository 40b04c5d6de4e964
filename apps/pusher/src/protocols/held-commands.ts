import { type CloseCode, closeCodes } from "@fanwire/protocol";

type Frame = { readonly lines: readonly string[]; readonly bytes: number };

/**
 * Commands of one connection that wait, in order, for the welcome, an earlier command or a slice of time. Bounded in
 * bytes.
 */
export class HeldCommands {
  /** Close code for a connection that sends more than the maximum. */
  closeCode: CloseCode = closeCodes.inboundRate;
  /** Whether they only wait for a slice of time. They are executed at once if they become too many. */
  mayRunNow = false;
  readonly #maxBytes: number;
  readonly #frames: Frame[] = [];
  #bytes = 0;
  /** Index of the next line in the first frame. */
  #at = 0;

  /**
   * `lines` are of a first frame, which does not count, because its size is bounded already. `maxBytes` bounds the
   * other frames together.
   */
  constructor(lines: readonly string[], maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.addBeyondMaximum(lines, 0);
  }

  /** Adds the commands of a frame of `bytes` bytes. Returns false, and adds nothing, if that exceeds the maximum. */
  add(lines: readonly string[], bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.addBeyondMaximum(lines, bytes);
    return true;
  }

  /** Adds the commands of a frame whatever its size. The oldest must be taken at once. */
  addBeyondMaximum(lines: readonly string[], bytes: number): void {
    if (lines.length === 0) return;
    this.#frames.push({ lines, bytes });
    this.#bytes += bytes;
  }

  /** Removes and returns the oldest command. */
  take(): string | undefined {
    const [frame] = this.#frames;
    if (frame === undefined) return undefined;
    const line = frame.lines[this.#at];
    this.#at++;
    // The frame counts until its last line is taken, because a line may keep the whole frame in memory.
    if (this.#at === frame.lines.length) {
      this.#frames.shift();
      this.#bytes -= frame.bytes;
      this.#at = 0;
    }
    return line;
  }
}
