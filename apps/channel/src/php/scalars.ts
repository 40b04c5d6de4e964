/** A scalar that PHP serialized. `text` is the result of PHP's `(string)` cast. */
export type Scalar = { type: "string" | "int" | "float" | "bool" | "null"; text: Buffer };

/** The bytes of the value that a scanner walked last. */
type Walked = { readonly contentStart: number; readonly contentEnd: number };

const largestInt = 2n ** 63n - 1n;
const backslash = 0x5c;

/** Returns the scalar at `start`, or `undefined` for any other value. It must be the value that was `walked`. */
export function readScalar(bytes: Buffer, start: number, walked: Walked): Scalar | undefined {
  const { contentStart, contentEnd } = walked;
  switch (bytes[start]) {
    case 0x73 /* s */:
      return { type: "string", text: bytes.subarray(contentStart, contentEnd) };
    case 0x53 /* S */:
      return { type: "string", text: decodeEscapes(bytes.subarray(contentStart, contentEnd)) };
    case 0x69 /* i */:
      return { type: "int", text: Buffer.from(intText(contentText(bytes, walked))) };
    case 0x64 /* d */:
      return { type: "float", text: Buffer.from(floatText(readFloat(contentText(bytes, walked)))) };
    case 0x62 /* b */:
      return { type: "bool", text: Buffer.from(bytes[contentStart] === 0x31 ? "1" : "") };
    case 0x4e /* N */:
      return { type: "null", text: Buffer.alloc(0) };
    default:
      return undefined;
  }
}

/**
 * Returns the scalar's identity as key of a PHP array, one character per byte, or `undefined` for any other value.
 * Integers become their decimal text, because PHP turns such a string into the integer. Floats lose their fraction.
 */
export function readArrayKey(bytes: Buffer, start: number, walked: Walked): string | undefined {
  const { contentStart, contentEnd } = walked;
  switch (bytes[start]) {
    case 0x73 /* s */:
      return contentText(bytes, walked);
    case 0x53 /* S */:
      return decodeEscapes(bytes.subarray(contentStart, contentEnd)).toString("latin1");
    case 0x69 /* i */:
      return intText(contentText(bytes, walked));
    case 0x64 /* d */:
      return truncatedText(readFloat(contentText(bytes, walked)));
    case 0x62 /* b */:
      return contentText(bytes, walked);
    case 0x4e /* N */:
      return "";
    default:
      return undefined;
  }
}

/** Returns whether an integer fits in 64 bits. PHP warns about others and takes the nearest bound. */
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

/**
 * Returns whether PHP accepts an object's key as property name. A name that starts with NUL must be `\0class\0name`.
 */
export function isPropertyName(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end || bytes[start] !== 0) return true;
  const second = bytes.indexOf(0, start + 1);
  return second > start + 1 && second < end - 1;
}

function contentText(bytes: Buffer, { contentStart, contentEnd }: Walked): string {
  return bytes.toString("latin1", contentStart, contentEnd);
}

/** Decodes the `\41` of the `S:` form. The scanner has checked that two digits follow each backslash. */
function decodeEscapes(escaped: Buffer): Buffer {
  if (!escaped.includes(backslash)) return escaped;
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
  // The low four bits of a digit are its value. Those of a letter count from one to six.
  return (byte & 0x0f) + (byte > 0x39 ? 9 : 0);
}

/**
 * Returns the canonical text of an integer as PHP reads it. `+7` and `007` are 7, and a number beyond 64 bits is the
 * nearest bound.
 */
function intText(text: string): string {
  // JavaScript represents every integer of up to 15 digits exactly.
  if (text.length <= 15) return String(Number(text));
  const isNegative = text[0] === "-";
  const digits = text.replace(/^[+-]?0*/, "");
  const bound = isNegative ? largestInt + 1n : largestInt;
  // A longer text is not converted, because it may have ten million digits.
  const magnitude = digits.length > 19 ? bound : BigInt(digits);
  return String((isNegative ? -1n : 1n) * (magnitude > bound ? bound : magnitude));
}

function readFloat(text: string): number {
  if (text.endsWith("INF")) return text === "INF" ? Infinity : -Infinity;
  return Number(text);
}

/** Returns a float as array key: without its fraction, wrapped to 64 bits, and 0 if it is not finite. */
function truncatedText(value: number): string {
  if (!Number.isFinite(value)) return "0";
  return String(BigInt.asIntN(64, BigInt(Math.trunc(value))));
}

/** Returns a float as PHP prints it with its default `precision` of 14: `0.3`, `1.0E+25`, `-0`. */
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

/** Like `toExponential(13)`, but rounds a tie to the even digit as C does. JavaScript rounds it up. */
function roundToEven(value: number): string {
  // A hundred digits distinguish an exact half from a number close to it.
  const [mantissa = "", exponent] = value.toExponential(100).split("e");
  const kept = mantissa.slice(0, mantissa.indexOf(".") + 14);
  const isTie = /^50*$/.test(mantissa.slice(kept.length));
  const isEven = Number(kept.at(-1)) % 2 === 0;
  return isTie && isEven ? `${kept}e${exponent}` : value.toExponential(13);
}
