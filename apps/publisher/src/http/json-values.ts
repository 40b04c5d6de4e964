const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;

/** Counts the values of JSON: one, and one more for each comma, array and object. The count is arbitrary for other bytes. */
export function countValues(json: Uint8Array): number {
  let count = 1;
  let isInString = false;
  // By bytes: within UTF-8 those of ASCII stand for nothing else.
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) isInString = !isInString;
    else if (isInString) {
      if (byte === BACKSLASH) at++;
    } else if (byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) count++;
  }
  return count;
}
