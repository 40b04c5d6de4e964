/** Longest text of an integer that is read digit by digit. */
const longestDigits = 9;

/** The keys of one array or object so far. Keys that count from 0 take no memory, and no string is made for them. */
export class DistinctKeys {
  /** All integers below are keys. */
  #next = 0;
  #others: Set<string> | undefined;

  /** Adds the integer if it is the next one. Otherwise the caller must pass it to {@link add}. */
  addNext(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > longestDigits || this.#others?.size) return false;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) return false;
      value = value * 10 + digit;
    }
    if (value !== this.#next || start === end) return false;
    this.#next++;
    return true;
  }

  /** Adds a key as PHP's arrays have it. Returns false if it occurs twice. */
  add(key: string): boolean {
    if (this.#isCounted(key) || this.#others?.has(key)) return false;
    this.#others ??= new Set();
    this.#others.add(key);
    return true;
  }

  #isCounted(key: string): boolean {
    const value = Number(key);
    return value >= 0 && value < this.#next && String(value) === key;
  }
}
