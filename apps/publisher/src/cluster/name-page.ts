/** A name with the number of its connections. */
export type Counted = readonly [name: string, connections: number];
export type NameReply = {
  readonly items: readonly Counted[];
  readonly hasMore: boolean;
  /** Absent from workers of earlier versions. */
  readonly total?: number | undefined;
};
export type NamePage = {
  /** Each name with its connections on all workers that answered. */
  readonly items: readonly Counted[];
  /** The `after` of the next page; absent on the last page. */
  readonly next?: string;
};

/**
 * Combines the replies of all workers to one page, in the order of names. It ends where the first worker's own page
 * ends before that worker's last name, because the counts of later names are incomplete.
 */
export function namePageOf(replies: readonly NameReply[], limit: number): NamePage {
  const ends = replies.flatMap(({ items, hasMore }) => (hasMore ? (items.at(-1)?.[0] ?? []) : []));
  const end = ends.reduce<string | undefined>(
    (first, each) => (first === undefined || each < first ? each : first),
    undefined,
  );
  const counts = new Map<string, number>();
  for (const { items } of replies) {
    for (const [name, connections] of items) {
      if (end === undefined || name <= end) counts.set(name, (counts.get(name) ?? 0) + connections);
    }
  }
  const sorted = [...counts].sort(([one], [other]) => (one < other ? -1 : 1));
  const items = sorted.slice(0, limit);
  const last = items.at(-1);
  const isLast = end === undefined && items.length === sorted.length;
  return { items, ...(!isLast && last && { next: last[0] }) };
}

/** Number of all names of a list in the cluster, as far as it is known. */
export type Total =
  | { readonly total: number }
  | { readonly totalAtLeast: number; readonly totalAtMost?: number }
  | Record<never, never>;

/**
 * Returns the number of all names that match. Several workers may have the same ones. So it is known only if one worker
 * has all, or if the whole list is known.
 *
 * @param known number of names in the list if it has all of them.
 */
export function totalOf(replies: readonly NameReply[], isComplete: boolean, known?: number): Total {
  if (isComplete && known !== undefined) return { total: known };
  const counts = replies.flatMap(({ total }) => total ?? []);
  const sum = counts.reduce((total, count) => total + count, 0);
  const areAllCounted = isComplete && counts.length === replies.length;
  if (areAllCounted && counts.filter((count) => count > 0).length <= 1) return { total: sum };
  if (counts.length === 0) return {};
  return { totalAtLeast: Math.max(...counts), ...(areAllCounted && { totalAtMost: sum }) };
}
