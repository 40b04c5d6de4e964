const utf8Encoder = new TextEncoder();

/** Maximum length of a topic, pattern, user, event or publication id, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

/** Whether the text is a legal name: 1 to 255 bytes of UTF-8. A lone surrogate has no UTF-8 form and is refused. */
export function isName(text: string): boolean {
  // A UTF-16 unit is one to three bytes of UTF-8, so the length alone decides for most names.
  if (text.length === 0 || text.length > MAX_NAME_BYTES) return false;
  if (/\p{Surrogate}/u.test(text)) return false;
  return text.length * 3 <= MAX_NAME_BYTES || utf8Encoder.encode(text).length <= MAX_NAME_BYTES;
}

/**
 * Whether the name can be the value of a NATS header: without control characters, which could end the header, and
 * without outer spaces, which header parsers trim.
 */
export function isHeaderName(text: string): boolean {
  return isName(text) && !/\p{Cc}/u.test(text) && text.trim() === text;
}
