const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

export type Query = {
  readonly parameters: ReadonlyMap<string, Buffer>;
  /** Names of parameters that PHP reads as arrays, such as `a[]`. Their value is the last element. */
  readonly arrays: ReadonlySet<string>;
};

/**
 * Parses the parameters of a URL's query as PHP does, byte for byte. `+` is a space and `%XX` is any byte, valid UTF-8
 * or not. A malformed escape stays unchanged. The last value of a repeated parameter is used. Names are decoded as PHP
 * does, into latin1 text with one character for each byte.
 *
 * @param url `IncomingMessage.url`: latin1 text with one character for each byte. `URL` would change the bytes.
 */
export function parseQuery(url: string): Query {
  const parameters = new Map<string, Buffer>();
  const arrays = new Set<string>();
  const start = url.indexOf("?");
  if (start < 0) return { parameters, arrays };

  for (const pair of url.slice(start + 1).split("&")) {
    const equals = pair.indexOf("=");
    const name = equals < 0 ? pair : pair.slice(0, equals);
    const value = equals < 0 ? "" : pair.slice(equals + 1);
    const { known, isArray } = phpName(decode(name).toString("latin1"));
    if (known === "") continue;
    parameters.set(known, decode(value));
    if (isArray) arrays.add(known);
    else arrays.delete(known);
  }
  return { parameters, arrays };
}

/**
 * Returns the name that PHP gives to a parameter, or "" if PHP ignores it. PHP drops leading spaces and ends a name at
 * a NUL. It replaces other spaces, dots and an unclosed bracket by underscores, and reads a closed bracket as an index.
 * Every name that PHP reads as an id must be recognised, because a publication without ids goes to everyone.
 */
function phpName(name: string): { readonly known: string; readonly isArray: boolean } {
  const [text = ""] = name.split("\0", 1);
  const whole = text.replace(/^ +/, "");
  const bracket = whole.indexOf("[");
  if (bracket === 0) return { known: "", isArray: false };
  const isArray = bracket > 0 && whole.indexOf("]", bracket) > 0;
  return { known: (isArray ? whole.slice(0, bracket) : whole).replaceAll(/[ .[]/g, "_"), isArray };
}

function decode(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (!bytes.includes(PERCENT) && !bytes.includes(PLUS)) return bytes;

  // In place, because decoding makes the bytes no longer.
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0; // `at` is within the bytes
    const escaped = byte === PERCENT ? escapedByte(bytes, at) : undefined;
    if (escaped !== undefined) at += 2;
    bytes[length++] = escaped ?? (byte === PLUS ? SPACE : byte);
  }
  return bytes.subarray(0, length);
}

function escapedByte(bytes: Buffer, at: number): number | undefined {
  const high = hexDigit(bytes[at + 1]);
  const low = hexDigit(bytes[at + 2]);
  return high === undefined || low === undefined ? undefined : high * 16 + low;
}

function hexDigit(code: number | undefined): number | undefined {
  if (code === undefined) return undefined;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const upper = code & ~0x20;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x41 + 10 : undefined;
}
