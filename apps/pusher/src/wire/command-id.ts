const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);
const NUMBER = /\s*(-?[0-9][0-9.eE+-]*)/y;
/** Length of `"id"` with each character escaped. */
const MAX_KEY_LENGTH = 14;

/**
 * Returns the number that a JSON object has as `id`, as it is written, because `JSON.parse` rounds large numbers. Like
 * `JSON.parse` it uses the last of several members `id`. `text` must be a valid JSON object.
 */
export function writtenId(text: string): string | undefined {
  let depth = 0;
  let key = "";
  let written: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (depth === 1 && end - at < MAX_KEY_LENGTH) key = text.slice(at, end + 1);
      else if (depth === 1) key = "";
      at = end;
    } else if (OPENING.has(code)) depth++;
    else if (CLOSING.has(code)) depth--;
    else if (code === COLON && depth === 1 && isId(key)) written = numberAt(text, at + 1);
  }
  return written;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function isId(key: string): boolean {
  return key === '"id"' || (key.includes("\\") && JSON.parse(key) === "id");
}

function numberAt(text: string, at: number): string | undefined {
  NUMBER.lastIndex = at;
  return NUMBER.exec(text)?.[1];
}
