const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;

export type Query = {
  readonly parameters: ReadonlyMap<string, Buffer>;
  /** Names of those that are arrays for PHP, such as `a[]`: of them the last element is given. */
  readonly arrays: ReadonlySet<string>;
};

/**
 * The parameters of a URL's query as PHP reads them, byte for byte: `+` is a space, `%XX` any byte (valid UTF-8 or not),
 * a malformed escape stays as it is, and of a repeated parameter the last one counts. Names are decoded too, as PHP
 * spells them, and given as latin1 text, one character a byte.
 *
 * @param url as Node gives it in `IncomingMessage.url`: latin1 text, one character a byte. Anything that went through
 * `URL` is no longer what the client sent.
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
 * PHP makes variables of parameters: it drops leading spaces, ends a name at a NUL, turns other spaces and dots into underscores,
 * and takes what follows a bracket for an index, or an unclosed bracket for an underscore too. A parameter that the original would
 * have read as an id must not be overlooked here, or everyone is told what was meant for one. "": no parameter.
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

  // Decoding never grows, so the bytes are rewritten in place.
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
