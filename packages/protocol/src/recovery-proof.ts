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
  /** Maximum number of stored publications per subject; `Infinity` without a limit. */
  readonly maxPerSubject: number;
};

/** A replay that was read to its end: there was a moment at which nothing further was stored for it. */
export type Replay = {
  /** Position after which it began. */
  readonly since: Position;
  /** Number of returned publications by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /** The history, described after that moment. An earlier description would miss what was dropped in between. */
  readonly history: HistoryState;
  /** History subject of the publication at `since`, if that was still stored after that moment. */
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
  /** The history could not be read for ten seconds. */
  | "unreadable";

/**
 * Returns why a replay may lack publications that were stored after `since`; undefined when it provably has all of
 * them. The history drops its oldest publications (by age, by bytes) and the oldest of each subject (by number).
 * Nothing is missing if
 *
 * - `since` is a position of this epoch, and
 * - the history as a whole dropped nothing after it, because its first sequence is at most `since` + 1, or it is known
 *   that nothing of the replay was dropped, and
 * - no subject dropped anything after it. This is so if the replay returned fewer publications of the subject than the
 *   limit. It is also so if the publication at `since` is of that subject and still stored, because older ones are
 *   dropped first.
 *
 * The last condition holds for each subject separately.
 */
export function missingReason(replay: Replay): MissingReason | undefined {
  const { since, counts, history, subjectAtSince, droppedNothing = false } = replay;
  // A position beyond the end is from elsewhere, for example from the history before it was restored.
  if (since.epoch !== history.epoch || since.sequence > history.lastSequence) return "recreated";
  if (history.firstSequence > since.sequence + 1 && !droppedNothing) return "expired";

  for (const [subject, count] of counts) {
    if (count >= history.maxPerSubject && subject !== subjectAtSince) return "over-subject-limit";
  }
  return undefined;
}
