/** Content of every publication: 100 bytes of ASCII, `~`, sequence, stamp, filler. */
export const CONTENT_BYTES = 100;

/** First byte of a content. No server uses it around contents. */
export const MAGIC = 0x7e; // ~
const FILLER = 0x2e; // .
/** Numbers have five bits per character, `0` to `O`: printable, without JSON escapes, decoded by a subtraction. */
const ZERO = 0x30;
const BASE = 32;
const SEQUENCE_DIGITS = 6;
const STAMP_DIGITS = 10;

/** `sequence` below 2^30; `stampMicros` below 2^50, fractions are dropped. */
export function encodeContent(sequence: number, stampMicros: number): Buffer {
  const content = Buffer.alloc(CONTENT_BYTES, FILLER);
  content[0] = MAGIC;
  writeDigits(content, 1, SEQUENCE_DIGITS, sequence);
  writeDigits(content, 1 + SEQUENCE_DIGITS, STAMP_DIGITS, Math.floor(stampMicros));
  return content;
}

/** Checks only the length and the first and last byte, which detects a misaligned reader. */
export function isContent(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === CONTENT_BYTES && bytes[start] === MAGIC && bytes[end - 1] === FILLER;
}

export function decodeSequence(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + 1, SEQUENCE_DIGITS);
}

export function decodeStampMicros(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + 1 + SEQUENCE_DIGITS, STAMP_DIGITS);
}

function writeDigits(bytes: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let digit = digits - 1; digit >= 0; digit--) {
    bytes[at + digit] = ZERO + (rest % BASE);
    rest = Math.floor(rest / BASE);
  }
}

function readDigits(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0;
  // Multiplication, not shifts: a stamp is wider than 32 bits. isContent has checked that the bytes are there.
  for (let digit = 0; digit < digits; digit++) value = value * BASE + ((bytes[at + digit] as number) - ZERO);
  return value;
}
