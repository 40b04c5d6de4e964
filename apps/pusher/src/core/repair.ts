import type { HistoryState } from "@fanwire/protocol";

/** A durable publication that came and was held back, or was read from the history, or both. */
export type Repaired = {
  readonly sequence: number;
  readonly subject: string;
  /**
   * Sequence of the one before it on its subject, as it says itself when it comes; 0 when it does not (nats-server 2.9.10
   * leaves it out after the death of a node).
   */
  readonly previous: number;
  /** Newest sequence of the history at a moment after it was read there; infinite when it was not. */
  readonly newest: number;
};

/**
 * Whether publications of one key, in order, certainly leave out nothing that was stored after `after`. One that came names the
 * one before it. One that was read does not, but the history drops only the oldest of a subject, and leaves the limit's number
 * behind: where fewer were stored from this one on, none was dropped before it.
 */
export function isUnbroken(
  publications: readonly Repaired[],
  after: number,
  { firstSequence, maxPerSubject }: Pick<HistoryState, "firstSequence" | "maxPerSubject">,
  isDelivered: (sequence: number) => boolean,
): boolean {
  if (firstSequence > after + 1) return false;
  for (const own of bySubject(publications).values()) {
    let last = after;
    let end = 0;
    for (const [at, { sequence, previous, newest }] of own.entries()) {
      while (end < own.length && (own[end]?.sequence ?? 0) <= newest) end++;
      const follows = previous > 0 ? previous <= last || isDelivered(previous) : end - at < maxPerSubject;
      if (!follows && !isDelivered(sequence)) return false;
      last = sequence;
    }
  }
  return true;
}

function bySubject(publications: readonly Repaired[]): Map<string, Repaired[]> {
  const subjects = new Map<string, Repaired[]>();
  for (const each of publications) {
    const own = subjects.get(each.subject);
    if (own) own.push(each);
    else subjects.set(each.subject, [each]);
  }
  return subjects;
}
