import { KEPT_PER_SUBJECT } from "./last-publications.ts";

type Known = {
  /** New publications of each subject after a position, and whether the history has dropped one of them. */
  readonly news: ReadonlyMap<string, { readonly count: number; readonly isDropped: boolean }>;
  /** Subjects that may have reached the limit per subject. */
  readonly suspects: Iterable<string>;
  /** Number of stored publications of each subject, counted after {@link news} was read. */
  readonly stored: ReadonlyMap<string, number>;
  readonly limit: number;
  /** Whether the history had dropped something after the position before the count, and whether it dropped more since. */
  readonly hasDropped: boolean;
  readonly dropsMore: boolean;
};

/** Returns the subjects of which the history may have dropped a publication after a position. */
export function lostSubjectsOf({ news, suspects, stored, limit, hasDropped, dropsMore }: Known): Set<string> {
  // A full subject does not look full after the history has dropped more.
  const lost = new Set([...suspects].filter((subject) => dropsMore || (stored.get(subject) ?? 0) >= limit));
  for (const [subject, { isDropped, count }] of news) {
    if (hasDropped && (isDropped || count >= KEPT_PER_SUBJECT)) lost.add(subject);
  }
  return lost;
}
