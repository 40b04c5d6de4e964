const zero = 0x30;
const colon = 0x3a;
const semicolon = 0x3b;
const quote = 0x22;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const backslash = 0x5c;
const plus = 0x2b;
const minus = 0x2d;

/**
 * Reads tokens of PHP's serialization format: one scalar, or the head of a container. Each method starts at the type
 * letter and returns whether the token is there by PHP's own grammar. After a failure the position is undefined.
 * Origin: php-src `ext/standard/var_unserializer.re`.
 */
export class Tokens {
  position = 0;
  /** Start of the bytes of the last string, or of the text of the last number, boolean or reference. */
  contentStart = 0;
  /** End of the same. */
  contentEnd = 0;
  readonly #bytes: Uint8Array;
  readonly #largestNumber: number;

  /** `largestNumber` is the largest possible length, count or slot in these bytes. */
  constructor(bytes: Uint8Array, largestNumber: number) {
    this.#bytes = bytes;
    this.#largestNumber = largestNumber;
  }

  /** `N;` */
  skipNull(): boolean {
    this.position++;
    return this.#expect(semicolon);
  }

  /** `b:1;` */
  skipBoolean(): boolean {
    if (!this.#startNumber()) return false;
    const value = this.#bytes[this.position++];
    return (value === zero || value === zero + 1) && this.#endNumber();
  }

  /** `i:-7;`, with any number of digits. PHP takes the nearest bound for a number beyond 64 bits. */
  skipInteger(): boolean {
    if (!this.#startNumber()) return false;
    this.#skipSign();
    return this.#skipDigits() > 0 && this.#endNumber();
  }

  /** `d:1.0E+25;` */
  skipFloat(): boolean {
    if (!this.#startNumber()) return false;
    if (this.#skipWord("NAN")) return this.#endNumber();
    this.#skipSign();
    if (this.#bytes[this.contentStart] !== plus && this.#skipWord("INF")) return this.#endNumber();
    let digits = this.#skipDigits();
    if (this.#bytes[this.position] === 0x2e /* . */) {
      this.position++;
      digits += this.#skipDigits();
    }
    if (digits === 0) return false;
    const exponent = this.#bytes[this.position];
    if (exponent === 0x65 /* e */ || exponent === 0x45 /* E */) {
      this.position++;
      this.#skipSign();
      if (this.#skipDigits() === 0) return false;
    }
    return this.#endNumber();
  }

  /** `s:<length>:"<bytes>";` */
  skipString(): boolean {
    return this.#skipQuoted() && this.#expect(semicolon);
  }

  /** `S:<length>:"<bytes>";`, where the length counts characters and each character may be written `\41`. */
  skipEscapedString(): boolean {
    const length = this.#startQuoted();
    const bytes = this.#bytes;
    let at = this.position;
    for (let left = length; left > 0; left--) {
      if (bytes[at] !== backslash) at++;
      else if (isHexDigit(bytes[at + 1]) && isHexDigit(bytes[at + 2])) at += 3;
      else return false;
    }
    this.contentEnd = at;
    this.position = at;
    return length >= 0 && this.#expect(quote) && this.#expect(semicolon);
  }

  /** `E:<length>:"<class>:<case>";` */
  skipEnumCase(): boolean {
    if (!this.skipString()) return false;
    const separator = this.#bytes.indexOf(colon, this.contentStart);
    return separator > this.contentStart && separator < this.contentEnd - 1;
  }

  /** `a:<count>:{`. Returns the count, or -1. */
  enterArray(): number {
    this.position++;
    return this.#enterBraces();
  }

  /** `O:<length>:"<class>":<count>:{`. Returns the count, or -1. */
  enterObject(): number {
    return this.#skipClassName() ? this.#enterBraces() : -1;
  }

  /** `C:<length>:"<class>":<length>:{<bytes>}`: with bytes in a format of the class. */
  skipOpaqueObject(): boolean {
    const length = this.enterObject();
    this.position += length;
    return length >= 0 && this.leave();
  }

  /** The `}` of an array or object. */
  leave(): boolean {
    return this.#expect(closeBrace);
  }

  /** `R:<slot>;` or `r:<slot>;`. Returns the slot, or -1. */
  readReference(): number {
    if (!this.#startNumber()) return -1;
    const slot = this.#readDigits();
    return this.#endNumber() ? slot : -1;
  }

  /** `O:<length>:"<class>"` */
  #skipClassName(): boolean {
    if (!this.#skipQuoted()) return false;
    const bytes = this.#bytes;
    if (this.contentStart === this.contentEnd || bytes[this.contentStart] === backslash) return false;
    for (let at = this.contentStart; at < this.contentEnd; at++) {
      if (!isClassNameByte(bytes[at] ?? 0)) return false;
    }
    return true;
  }

  /** `<type>:<length>:"<bytes>"` */
  #skipQuoted(): boolean {
    const length = this.#startQuoted();
    this.position += length;
    this.contentEnd = this.position;
    return length >= 0 && this.#expect(quote);
  }

  /** `<type>:<length>:"`. Returns the length, or -1. */
  #startQuoted(): number {
    this.position++;
    const length = this.#expect(colon) ? this.#readDigits() : -1;
    if (!this.#expect(colon) || !this.#expect(quote)) return -1;
    this.contentStart = this.position;
    return length;
  }

  /** `:<count>:{`. Returns the count, or -1. */
  #enterBraces(): number {
    const count = this.#expect(colon) ? this.#readDigits() : -1;
    return this.#expect(colon) && this.#expect(openBrace) ? count : -1;
  }

  /** `<type>:` */
  #startNumber(): boolean {
    this.position++;
    if (!this.#expect(colon)) return false;
    this.contentStart = this.position;
    return true;
  }

  #endNumber(): boolean {
    this.contentEnd = this.position;
    return this.#expect(semicolon);
  }

  /** Reads a number without sign. Returns -1 if there is none or it is too large. */
  #readDigits(): number {
    const bytes = this.#bytes;
    let at = this.position;
    let value = -1;
    for (;;) {
      const digit = (bytes[at] ?? 0) - zero;
      if (digit < 0 || digit > 9) break;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > this.#largestNumber) return -1;
      at++;
    }
    this.position = at;
    return value;
  }

  #skipDigits(): number {
    const start = this.position;
    while (isDigit(this.#bytes[this.position])) this.position++;
    return this.position - start;
  }

  #skipSign(): void {
    const sign = this.#bytes[this.position];
    if (sign === plus || sign === minus) this.position++;
  }

  #skipWord(word: string): boolean {
    for (let index = 0; index < word.length; index++) {
      if (this.#bytes[this.position + index] !== word.charCodeAt(index)) return false;
    }
    this.position += word.length;
    return true;
  }

  #expect(byte: number): boolean {
    return this.#bytes[this.position++] === byte;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= zero + 9;
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

function isClassNameByte(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x7a) || byte === 0x5f || byte === backslash || byte >= 0x7f;
}
