import type { Position } from "./position.ts";

/** The history as its leader described it at one moment. */
export type HistoryState = {
  readonly epoch: string;
  /**
   * Sequence of the oldest stored publication; {@link lastSequence} + 1 when all were dropped, 0 or 1 before the first.
   */
  readonly firstSequence: number;
  /** Sequence of the last publication ever stored; 0 before the first. */
  readonly lastSequence: number;
} & SubjectLimit;

/**
 * How many publications of each subject the history keeps. Before, it may have kept fewer. A drop under the lower limit
 * does not show under the present one.
 */
export type SubjectLimit = {
  /** Maximum number of stored publications per subject; `Infinity` without a limit. */
  readonly maxPerSubject: number;
  /**
   * The lowest of the earlier limits, and the last sequence under them. Absent if none was lower than the present one.
   */
  readonly lowerBefore?: { readonly maxPerSubject: number; readonly through: number };
};

/** A replay that was read to its end. */
export type Replay = {
  /** Position after which it began. */
  readonly since: Position;
  /** Number of returned publications by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /**
   * Maximum number of publications that were stored behind those before they were read. Each of them may have caused
   * the drop of an earlier one.
   */
  readonly unread: number;
  /** The history, described after the read. An earlier description would miss what was dropped in between. */
  readonly history: HistoryState;
  /** History subject of the publication at `since`, if that was still stored after the read. */
  readonly subjectAtSince?: string | undefined;
  /** Whether the last publications of each subject prove that the history dropped nothing of it after `since`. */
  readonly droppedNothing?: boolean;
};

/** Reason why a replay may be incomplete. */
export type MissingReason =
  /** The position has another epoch, or lies beyond the end of the history. */
  | "recreated"
  /** The history has dropped publications after the position, by age or bytes. */
  | "expired"
  /** The history has dropped publications of one subject, because their number is limited. */
  | "over-subject-limit";

/** Reason why a client may have missed publications. */
export type NotRecovered =
  | MissingReason
  /** It missed more than the maximum of one replay. */
  | "over-replay-limit"
  /** Its position cannot be parsed. */
  | "malformed"
  /** The connection was subscribed before, so that it is not known what the client has received. */
  | "already-subscribed"
  /** The history could not be read for ten seconds, or not as fast as it dropped what was to be read. */
  | "unreadable";

/**
 * Returns why a replay may lack publications that were stored after `since`; undefined when it provably has all of
 * them. The history drops its oldest publications (by age, by bytes) and the oldest of each subject (by number).
 * Nothing is missing if
 *
 * - `since` is a position of this epoch, and
 * - the history dropped nothing after it (its first sequence is at most `since` + 1), or nothing of the replay, and
 * - no subject dropped anything after it. A drop leaves as many later publications of the subject as the limit. So there
 *   was none if the replay returned fewer, even if all unread ones are of that subject. There was also none if the
 *   publication at `since` is of that subject and still stored, because older ones are dropped first.
 *
 * The last condition holds for each subject separately. The limit is the lowest one that was in force after `since`.
 */
export function missingReason(replay: Replay): MissingReason | undefined {
  const { since, counts, unread, history, subjectAtSince, droppedNothing = false } = replay;
  // A position beyond the end is from elsewhere, for example from the history before it was restored.
  if (since.epoch !== history.epoch || since.sequence > history.lastSequence) return "recreated";
  if (history.firstSequence > since.sequence + 1 && !droppedNothing) return "expired";

  const limit = limitSince(history, since.sequence);
  // Everything that was stored of a subject may have been dropped before it was read.
  if (unread >= limit) return "over-subject-limit";
  for (const [subject, count] of counts) {
    if (count + unread >= limit && subject !== subjectAtSince) return "over-subject-limit";
  }
  return undefined;
}

/** Returns the lowest limit per subject that was in force at any time after a sequence. */
export function limitSince({ maxPerSubject, lowerBefore }: SubjectLimit, sequence: number): number {
  return lowerBefore !== undefined && sequence < lowerBefore.through ? lowerBefore.maxPerSubject : maxPerSubject;
}
