const MAX_BYTES = 131_072;
/** Default of NATS, used before the first connection. */
const DEFAULT_PAYLOAD = 1_048_576;

/**
 * Maximum characters, each of which may take three bytes, so that a report or page with one more fact fits into a NATS
 * message.
 */
export function sizeLimits(maxPayloadBytes: number): { readonly fact: number; readonly message: number } {
  const payload = maxPayloadBytes > 0 ? maxPayloadBytes : DEFAULT_PAYLOAD;
  return {
    fact: Math.min(MAX_BYTES, Math.floor(payload / 6)),
    message: Math.min(MAX_BYTES, Math.floor(payload / 8)),
  };
}
