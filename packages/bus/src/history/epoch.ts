const NANOSECONDS = 1_000_000_000n;

/**
 * The epoch of a stream that was created then: the nanosecond, in base 36. A stream that is deleted and created again has
 * another, and every replica says the same.
 *
 * @param created RFC 3339 with up to nine digits of a second, as JetStream writes it.
 */
export function epochFrom(created: string): string {
  const [, seconds = created, fraction = ""] = /^(.*?)(?:\.([0-9]{1,9}))?(?:Z|[+-]00:00)$/.exec(created) ?? [];
  const wholeSeconds = BigInt(Math.floor(Date.parse(`${seconds}Z`) / 1_000));
  return (wholeSeconds * NANOSECONDS + BigInt(fraction.padEnd(9, "0"))).toString(36);
}
