import type { Counted, NameReply } from "./name-page.ts";

/** Returns names by their connections from the highest number on, those with equal numbers in the order of UTF-16 units. */
export function byConnections([one, count]: Counted, [other, otherCount]: Counted): number {
  return otherCount - count || (one < other ? -1 : one > other ? 1 : 0);
}

type Candidates = {
  /** Candidates whose connections on all workers are known. */
  readonly known: readonly Counted[];
  /** Candidates that some worker did not list although it has more than it listed. */
  readonly unknown: readonly string[];
};

/**
 * Returns the names that may be among the first `count`, from the first names of each worker in the order of {@link byConnections}.
 * A name that a worker did not list has at most as many connections there as the last one that it listed.
 */
export function candidatesOf(replies: readonly NameReply[], count: number): Candidates {
  const listed = new Map<string, { sum: number; cuts: number }>();
  const allCuts = sum(replies.map(cutOf));
  for (const reply of replies) {
    for (const [name, connections] of reply.items) {
      const known = listed.get(name) ?? { sum: 0, cuts: allCuts };
      listed.set(name, { sum: known.sum + connections, cuts: known.cuts - cutOf(reply) });
    }
  }
  const sums = [...listed.values()].map((each) => each.sum).sort((one, other) => other - one);
  const lowest = sums[count - 1] ?? 0;
  const candidates = [...listed].filter(([, each]) => each.sum + each.cuts >= lowest);
  return {
    known: candidates.flatMap(([name, each]) => (each.cuts === 0 ? [[name, each.sum] as const] : [])),
    unknown: candidates.flatMap(([name, { cuts }]) => (cuts > 0 ? [name] : [])),
  };
}

/** Whether no name outside of the replies can be before `last`, the last one of a page with exact counts. */
export function isProven(replies: readonly NameReply[], last: Counted | undefined): boolean {
  const cut = replies.filter(({ hasMore }) => hasMore);
  if (cut.length === 0) return true;
  if (last === undefined) return false;
  // A name that no worker listed has at most this many. With just as many it comes after the last name of each of them.
  const most = sum(cut.map(cutOf));
  const after = cut.reduce((highest, { items }) => max(highest, items.at(-1)?.[0] ?? ""), "");
  return last[1] > most || (last[1] === most && last[0] <= after);
}

/** Returns the connections of the last name that a worker listed, if it has more; 0 if it listed all. */
function cutOf({ items, hasMore }: NameReply): number {
  return hasMore ? (items.at(-1)?.[1] ?? Number.POSITIVE_INFINITY) : 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function max(one: string, other: string): string {
  return one > other ? one : other;
}
