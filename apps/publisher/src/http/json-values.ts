const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;

/** Counts the values of a JSON text: one, plus one for each comma, array and object. The result is arbitrary for other bytes. */
export function countValues(json: Uint8Array): number {
  let count = 1;
  let isInString = false;
  // Reads bytes, because in UTF-8 an ASCII byte is never part of another character.
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) isInString = !isInString;
    else if (isInString) {
      if (byte === BACKSLASH) at++;
    } else if (byte === COMMA || byte === OPEN_BRACKET || byte === OPEN_BRACE) count++;
  }
  return count;
}
