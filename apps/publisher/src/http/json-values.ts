const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;

/** Length from which a native search for the end of a string is faster than a loop. */
const LONG_STRING = 32;

/**
 * Counts the values of a JSON text: one, plus one for each comma, array and object. The result is arbitrary for other
 * bytes.
 */
export function countValues(json: Buffer): number {
  let count = 1;
  // Reads bytes, because in UTF-8 an ASCII byte is never part of another character.
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = endOfString(json, at);
    else if (byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) count++;
  }
  return count;
}

/** Returns the index of the closing quotation mark, or the length without one. */
function endOfString(json: Buffer, start: number): number {
  const near = Math.min(start + LONG_STRING, json.length);
  let at = start + 1;
  for (; at < near; at++) {
    if (json[at] === QUOTE) return at;
    if (json[at] === BACKSLASH) at++;
  }
  for (let end = json.indexOf(QUOTE, at); end >= 0; end = json.indexOf(QUOTE, end + 1)) {
    let backslashes = 0;
    while (end - 1 - backslashes >= at && json[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return json.length;
}
