const NANOSECONDS = 1_000_000_000n;
/** Digits of a moment in nanoseconds, in base 36, until the year 2120. */
const CREATION_DIGITS = 12;
/** Digits of a moment in milliseconds, in base 36, until the year 2059. */
const MARK_DIGITS = 8;
const MARK = / ?\(epoch mark ([a-z0-9]{8})\)$/;

/**
 * The epoch of a stream: the nanosecond of its creation, in base 36, and the mark in its description, if it has one. A stream
 * that is deleted and created again has another epoch, and every replica says the same. A stream that was restored from an
 * older copy has the same creation, and gets a mark when that is noticed.
 *
 * @param created RFC 3339 with up to nine digits of a second, as JetStream writes it.
 */
export function epochFrom(created: string, description = ""): string {
  const [, seconds = created, fraction = ""] = /^(.*?)(?:\.([0-9]{1,9}))?(?:Z|[+-]00:00)$/.exec(created) ?? [];
  const wholeSeconds = BigInt(Math.floor(Date.parse(`${seconds}Z`) / 1_000));
  const creation = (wholeSeconds * NANOSECONDS + BigInt(fraction.padEnd(9, "0"))).toString(36);
  return creation + (MARK.exec(description)?.[1] ?? "");
}

/** The description of a stream with a mark that is later than the one it has and than `now`, in milliseconds since 1970. */
export function markedDescription(description: string, now: number): string {
  const mark = Math.max(now, Number.parseInt(MARK.exec(description)?.[1] ?? "0", 36) + 1);
  const text = description.replace(MARK, "");
  return `${text}${text === "" ? "" : " "}(epoch mark ${mark.toString(36).padStart(MARK_DIGITS, "0")})`;
}

/** Whether two epochs are of one stream, which has perhaps got a mark in between. */
export function isSameCreation(one: string, other: string): boolean {
  return one.slice(0, CREATION_DIGITS) === other.slice(0, CREATION_DIGITS);
}

/** Whether one epoch began before another: by its creation, then by its mark. */
export function isEarlierEpoch(epoch: string, than: string): boolean {
  return epoch < than;
}
