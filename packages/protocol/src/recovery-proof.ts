import type { Position } from "./position.ts";

/** The history as its leader described it at one moment. */
export type HistoryState = {
  readonly epoch: string;
  /** Sequence of the oldest publication stored; one more than {@link lastSequence} when all are gone, 0 or 1 before the first. */
  readonly firstSequence: number;
  /** Sequence of the newest publication ever stored; 0 before the first. */
  readonly lastSequence: number;
  /** How many publications of one subject are kept; `Infinity` when nothing bounds them. */
  readonly maxPerSubject: number;
};

/** A replay that was read to its end: there was a moment at which nothing more was stored for it. */
export type Replay = {
  /** What it began after. */
  readonly since: Position;
  /** How many publications it returned, by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /** The history, as described after that moment; an earlier description would miss what was dropped in between. */
  readonly history: HistoryState;
  /** History subject of the publication at `since`, if that was still stored after that moment. */
  readonly subjectAtSince?: string | undefined;
  /** Nothing of what the history has dropped was stored for it after `since`, as the last publications of each subject show. */
  readonly droppedNothing?: boolean;
};

/** Why a replay may lack something. */
export type MissingReason =
  /** The position is of another history, or lies beyond the end of this one. */
  | "recreated"
  /** The history has dropped publications after the position, by age or bytes. */
  | "expired"
  /** The history has dropped publications of one subject, whose number is limited. */
  | "over-subject-limit";

/** Why a client is told that it may have missed something. */
export type NotRecovered =
  | MissingReason
  /** What it missed is more than is replayed to one client. */
  | "over-replay-limit"
  /** Its position is none. */
  | "malformed"
  /** The history could not be read for ten seconds. */
  | "unreadable";

/**
 * Why a replay may not hold everything that was stored after `since` for what it read; undefined when it provably does. The
 * history drops its oldest publications (by age, by bytes) and the oldest of each subject (by number). So nothing is missing if
 *
 * - `since` is a position in this life of the history, and
 * - nothing after it was dropped for the whole history: its first sequence is at most `since` + 1; or what was dropped is
 *   known to have been none of what was read, and
 * - nothing after it was dropped for a subject: fewer than the limit came back, since what is dropped leaves as many behind
 *   it; or the publication at `since` is of that subject and still stored, since older ones are dropped first.
 *
 * The last holds for each subject by itself: that a publication to one topic is still stored says nothing about another's.
 */
export function missingReason(replay: Replay): MissingReason | undefined {
  const { since, counts, history, subjectAtSince, droppedNothing = false } = replay;
  // A position the history has not reached yet comes from somewhere else, such as the history before it was restored.
  if (since.epoch !== history.epoch || since.sequence > history.lastSequence) return "recreated";
  if (history.firstSequence > since.sequence + 1 && !droppedNothing) return "expired";

  for (const [subject, count] of counts) {
    if (count >= history.maxPerSubject && subject !== subjectAtSince) return "over-subject-limit";
  }
  return undefined;
}
