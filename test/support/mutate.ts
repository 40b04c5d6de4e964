import { Random } from "../chaos/random.ts";

/** Inputs that parsers often mishandle. */
const HARD_INPUTS = [
  ...["\r\n", "\n", "\0", "\r\n\r\n", " ", "\t"],
  ...'" \\ \\ud800 { [ } ] , : ; & = ? #'.split(" "),
  ..."% %00 %0d%0a %ff * > . .. -1 0 1e999 99999999999999999999 null __proto__".split(" "),
  ..."\xff\xfe \xed\xa0\x80 \xc0\x80 \u20ac".split(" "),
  ...["A".repeat(300), "a:1:{", "O:8:", "R:1;", "HTTP/9.9", "chunked"],
].map((text) => Buffer.from(text, "latin1"));

/** Changes, removes, repeats or inserts bytes of valid inputs. The same seed gives the same results. */
export class Mutator {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Returns a mutation of one of `originals`. */
  mutate(originals: readonly Buffer[]): Buffer {
    let bytes = this.#random.pick(originals);
    for (let changes = 1 + this.#below(3); changes > 0; changes--) bytes = this.#spoilOnce(bytes);
    return bytes;
  }

  #spoilOnce(bytes: Buffer): Buffer {
    const at = this.#below(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + this.#below(8));
    const [before, within, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
    switch (this.#below(5)) {
      case 0:
        return Buffer.concat([before, within.map((byte) => byte ^ (1 << this.#below(8))), after]);
      case 1:
        return Buffer.concat([before, after]);
      case 2:
        return Buffer.concat([before, within, within, after]);
      case 3:
        return before;
      default:
        return Buffer.concat([before, this.#random.pick(HARD_INPUTS), within, after]);
    }
  }

  #below(end: number): number {
    return Math.floor(this.#random.next() * end);
  }
}
