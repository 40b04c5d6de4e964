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
  /** Log subject of the publication at `since`, if that was still stored after that moment. */
  readonly subjectAtSince?: string | undefined;
};

/**
 * Whether a replay certainly holds everything that was stored after `since` for what it read. The history drops its oldest
 * publications (by age, by bytes) and the oldest of each subject (by number). So nothing is missing if
 *
 * - `since` is a position in this life of the history, and
 * - nothing after it was dropped for the whole history: its first sequence is at most `since` + 1, and
 * - nothing after it was dropped for a subject: fewer than the limit came back, since what is dropped leaves as many behind
 *   it; or the publication at `since` is of that subject and still stored, since older ones are dropped first.
 *
 * The last holds for each subject by itself: that a publication to one topic is still stored says nothing about another's.
 */
export function isProvablyComplete({ since, counts, history, subjectAtSince }: Replay): boolean {
  if (since.epoch !== history.epoch) return false;
  // A position the history has not reached yet comes from somewhere else, such as the history before it was restored from a backup.
  if (since.sequence > history.lastSequence) return false;
  if (history.firstSequence > since.sequence + 1) return false;

  for (const [subject, count] of counts) {
    if (count >= history.maxPerSubject && subject !== subjectAtSince) return false;
  }
  return true;
}
