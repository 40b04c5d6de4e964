import type { Scanner } from "./php-serialize.ts";

/** A scalar that PHP serialized: its type, and its bytes as PHP's `(string)` cast gives them. */
export type Scalar = { type: "string" | "int" | "float" | "bool" | "null"; text: Buffer };

const largestInt = 2n ** 63n - 1n;
const backslash = 0x5c;

/** The scalar at `start` that the scanner has just walked over; `undefined` for anything else. */
export function readScalar(bytes: Buffer, start: number, scanner: Scanner): Scalar | undefined {
  const { contentStart, contentEnd } = scanner;
  switch (bytes[start]) {
    case 0x73 /* s */:
      return { type: "string", text: bytes.subarray(contentStart, contentEnd) };
    case 0x53 /* S */:
      return { type: "string", text: decodeEscapes(bytes.subarray(contentStart, contentEnd)) };
    case 0x69 /* i */:
      return { type: "int", text: Buffer.from(intText(contentText(bytes, scanner))) };
    case 0x64 /* d */:
      return { type: "float", text: Buffer.from(floatText(readFloat(contentText(bytes, scanner)))) };
    case 0x62 /* b */:
      return { type: "bool", text: Buffer.from(bytes[contentStart] === 0x31 ? "1" : "") };
    case 0x4e /* N */:
      return { type: "null", text: Buffer.alloc(0) };
    default:
      return undefined;
  }
}

/**
 * The identity that a scalar has as key of a PHP array, one character per byte; `undefined` for anything else. Integers
 * are their decimal text, which no other string has: PHP makes such a string the integer. Floats lose their fraction.
 */
export function readArrayKey(bytes: Buffer, start: number, scanner: Scanner): string | undefined {
  const { contentStart, contentEnd } = scanner;
  switch (bytes[start]) {
    case 0x73 /* s */:
      return contentText(bytes, scanner);
    case 0x53 /* S */:
      return decodeEscapes(bytes.subarray(contentStart, contentEnd)).toString("latin1");
    case 0x69 /* i */:
      return intText(contentText(bytes, scanner));
    case 0x64 /* d */:
      return truncatedText(readFloat(contentText(bytes, scanner)));
    case 0x62 /* b */:
      return contentText(bytes, scanner);
    case 0x4e /* N */:
      return "";
    default:
      return undefined;
  }
}

/** Whether an integer's text stands for a number of 64 bits. PHP takes the nearest bound for others, with a warning. */
export function isIntegerInRange(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start <= 18) return true;
  let at = start;
  const isNegative = bytes[at] === 0x2d; /* - */
  if (isNegative || bytes[at] === 0x2b /* + */) at++;
  while (at < end && bytes[at] === 0x30 /* 0 */) at++;
  if (end - at !== 19) return end - at < 19;
  const magnitude = BigInt(String.fromCharCode(...bytes.subarray(at, end)));
  return magnitude <= (isNegative ? largestInt + 1n : largestInt);
}

/** Whether PHP takes the key of an object for a property's name: those with a NUL in front are `\0class\0name`. */
export function isPropertyName(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end || bytes[start] !== 0) return true;
  const second = bytes.indexOf(0, start + 1);
  return second > start + 1 && second < end - 1;
}

function contentText(bytes: Buffer, scanner: Scanner): string {
  return bytes.toString("latin1", scanner.contentStart, scanner.contentEnd);
}

/** Decodes the `\41` of the `S:` form; the scanner has checked that two digits follow each backslash. */
function decodeEscapes(escaped: Buffer): Buffer {
  const plain = Buffer.allocUnsafe(escaped.length);
  let length = 0;
  for (let at = 0; at < escaped.length; at++) {
    let byte = escaped[at] ?? 0;
    if (byte === backslash) byte = 16 * hexDigit(escaped[++at] ?? 0) + hexDigit(escaped[++at] ?? 0);
    plain[length++] = byte;
  }
  return plain.subarray(0, length);
}

function hexDigit(byte: number): number {
  // The low four bits of a digit are its value, those of a letter one to six.
  return (byte & 0x0f) + (byte > 0x39 ? 9 : 0);
}

/** The canonical form of an integer as PHP reads it: `+7` and `007` are 7, beyond 64 bits is the nearest bound. */
function intText(text: string): string {
  // Every integer of so few digits is exact as a number.
  if (text.length <= 15) return String(Number(text));
  const isNegative = text[0] === "-";
  const digits = text.replace(/^[+-]?0*/, "");
  const bound = isNegative ? largestInt + 1n : largestInt;
  // Digits beyond any 64-bit number are not even converted: there may be ten million of them.
  const magnitude = digits.length > 19 ? bound : BigInt(digits);
  return String((isNegative ? -1n : 1n) * (magnitude > bound ? bound : magnitude));
}

function readFloat(text: string): number {
  if (text.endsWith("INF")) return text === "INF" ? Infinity : -Infinity;
  return Number(text);
}

/** A float as array key: its fraction dropped, wrapped to 64 bits; 0 for what is not finite. */
function truncatedText(value: number): string {
  if (!Number.isFinite(value)) return "0";
  return String(BigInt.asIntN(64, BigInt(Math.trunc(value))));
}

/** A float as PHP prints it with its default `precision` of 14: `0.3`, `1.0E+25`, `-0`. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return "NAN";
  if (!Number.isFinite(value)) return value > 0 ? "INF" : "-INF";
  if (Object.is(value, -0)) return "-0";
  const rounded = roundToEven(value);
  const [mantissa = "", exponent = ""] = rounded.split("e");
  if (Number(exponent) >= -4 && Number(exponent) < 14) return String(Number(rounded));
  const digits = mantissa.replace(/\.?0+$/, "");
  return `${digits.includes(".") ? digits : `${digits}.0`}E${exponent}`;
}

/** Like `toExponential(13)`, but a tie goes to the even digit, as in C, where JavaScript rounds it up. */
function roundToEven(value: number): string {
  // A hundred digits are more than enough to tell an exact half from what only comes close to it.
  const [mantissa = "", exponent] = value.toExponential(100).split("e");
  const kept = mantissa.slice(0, mantissa.indexOf(".") + 14);
  const isTie = /^50*$/.test(mantissa.slice(kept.length));
  const isEven = Number(kept.at(-1)) % 2 === 0;
  return isTie && isEven ? `${kept}e${exponent}` : value.toExponential(13);
}
