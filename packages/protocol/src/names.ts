const utf8Encoder = new TextEncoder();

/** Longest topic, pattern, user, event or publication id, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

/** A name we accept anywhere: 1 to 255 bytes of UTF-8. A lone surrogate has no UTF-8 form and is refused. */
export function isName(text: string): boolean {
  // A UTF-16 unit is one to three bytes of UTF-8: the length alone settles most names.
  if (text.length === 0 || text.length > MAX_NAME_BYTES) return false;
  if (/\p{Surrogate}/u.test(text)) return false;
  return text.length * 3 <= MAX_NAME_BYTES || utf8Encoder.encode(text).length <= MAX_NAME_BYTES;
}

/**
 * A name that may travel as the value of a NATS header: no control characters, which could end the header, and no space
 * at either end, which header parsers trim.
 */
export function isHeaderName(text: string): boolean {
  return isName(text) && !/\p{Cc}/u.test(text) && text.trim() === text;
}
