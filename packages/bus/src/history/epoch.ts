const NANOSECONDS = 1_000_000_000n;
/** Digits of a moment in nanoseconds, in base 36, until the year 2120. */
const CREATION_DIGITS = 12;
/** Digits of a moment in milliseconds, in base 36, until the year 2059. */
const MARK_DIGITS = 8;
const MARK = / ?\(epoch mark ([a-z0-9]{8})\)$/;

/**
 * Returns the epoch of a stream: the nanosecond of its creation, in base 36, and the mark in its description, if any. A
 * recreated stream has another epoch, and all replicas have the same one. A stream that was restored from an older copy
 * keeps its creation time, and gets a mark when a service detects this.
 *
 * @param created RFC 3339 with up to nine digits of a second, as JetStream writes it.
 */
export function epochFrom(created: string, description = ""): string {
  const [, seconds = created, fraction = ""] = /^(.*?)(?:\.([0-9]{1,9}))?(?:Z|[+-]00:00)$/.exec(created) ?? [];
  const wholeSeconds = BigInt(Math.floor(Date.parse(`${seconds}Z`) / 1_000));
  const creation = (wholeSeconds * NANOSECONDS + BigInt(fraction.padEnd(9, "0"))).toString(36);
  return creation + (MARK.exec(description)?.[1] ?? "");
}

/** Returns the description with a mark later than its present one and not before `now`, in milliseconds since 1970. */
export function markedDescription(description: string, now: number): string {
  const mark = Math.max(now, Number.parseInt(MARK.exec(description)?.[1] ?? "0", 36) + 1);
  const text = description.replace(MARK, "");
  return `${text}${text === "" ? "" : " "}(epoch mark ${mark.toString(36).padStart(MARK_DIGITS, "0")})`;
}

/** Whether two epochs are of one stream, with or without a mark in between. */
export function isSameCreation(one: string, other: string): boolean {
  return one.slice(0, CREATION_DIGITS) === other.slice(0, CREATION_DIGITS);
}

/** Whether one epoch began before another: by its creation, then by its mark. */
export function isEarlierEpoch(epoch: string, than: string): boolean {
  return epoch < than;
}
