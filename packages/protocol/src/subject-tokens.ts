const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Token of an empty name, because NATS has no empty tokens. */
const EMPTY_TOKEN = "=";
const PLAIN_TOKEN = /^[A-Za-z0-9_-]+$/;

/**
 * Encodes any well-formed name as one NATS token: `[A-Za-z0-9_-]` stay, every other byte of the UTF-8 form becomes
 * `=XX`. The encoding is reversible, so two names never collide, and no token holds a dot or a wildcard. Valid in KV
 * keys too.
 */
export function encodeToken(name: string): string {
  if (name === "") return EMPTY_TOKEN;
  if (PLAIN_TOKEN.test(name)) return name;

  let token = "";
  for (const byte of utf8Encoder.encode(name)) token += encodeByte(byte);
  return token;
}

/** Like {@link encodeToken}, for a name of bytes: a string with one character per byte, none above 0xFF. */
export function encodeByteToken(bytes: string): string {
  if (bytes === "") return EMPTY_TOKEN;
  if (PLAIN_TOKEN.test(bytes)) return bytes;

  let token = "";
  for (let at = 0; at < bytes.length; at++) token += encodeByte(bytes.charCodeAt(at));
  return token;
}

function encodeByte(byte: number): string {
  return isPlain(byte) ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Decodes a token; returns `undefined` for text that {@link encodeToken} never writes. */
export function decodeToken(token: string): string | undefined {
  if (token === EMPTY_TOKEN) return "";
  if (token === "") return undefined;
  if (PLAIN_TOKEN.test(token)) return token;

  const bytes: number[] = [];
  for (let at = 0; at < token.length; at++) {
    const code = token.charCodeAt(at);
    if (isPlain(code)) {
      bytes.push(code);
      continue;
    }
    const byte = code === 0x3d ? escapedByte(token, at) : undefined;
    if (byte === undefined) return undefined;
    bytes.push(byte);
    at += 2;
  }
  return decodeUtf8(bytes);
}

/** Decodes the `=XX` at `at`. Refuses an escaped byte that needs no escape, so that each name has only one token. */
function escapedByte(token: string, at: number): number | undefined {
  const hex = token.slice(at + 1, at + 3);
  if (!/^[0-9A-F]{2}$/.test(hex)) return undefined;

  const byte = Number.parseInt(hex, 16);
  return isPlain(byte) ? undefined : byte;
}

function decodeUtf8(bytes: number[]): string | undefined {
  try {
    return utf8Decoder.decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}

function isPlain(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || // 0-9
    (code >= 0x41 && code <= 0x5a) || // A-Z
    (code >= 0x61 && code <= 0x7a) || // a-z
    code === 0x5f || // _
    code === 0x2d // -
  );
}
