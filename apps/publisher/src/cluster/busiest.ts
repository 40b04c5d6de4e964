import type { Counted, NameReply } from "./name-page.ts";

/** Maximum number of candidates for each wanted name. The counts of others are not asked for. */
const CANDIDATES_PER_NAME = 2;
const MIN_CANDIDATES = 100;

/** Orders names by their number of connections, the highest first, and equal ones by UTF-16 units. */
export function byConnections([one, count]: Counted, [other, otherCount]: Counted): number {
  return otherCount - count || (one < other ? -1 : one > other ? 1 : 0);
}

/** A place in the order of {@link byConnections}. */
type Bound = Counted;

export type Candidates = {
  /** Candidates whose connections on all workers are known. */
  readonly known: readonly Counted[];
  /** Candidates that some worker did not list although it has more than it listed. */
  readonly unknown: readonly string[];
  /** No other name comes before this place; undefined if there is no other name. */
  readonly others: Bound | undefined;
  /** Number of names that some worker listed. */
  readonly listed: number;
};

/**
 * A name that some worker listed. `highest` is an upper bound of its sum: a worker that did not list it has at most as
 * many connections for it as for the last name that it listed.
 */
type Listed = { readonly name: string; readonly sum: number; readonly highest: number };

/**
 * Returns the names that may be among the first `count` of all workers, from the first names of each worker in the
 * order of {@link byConnections}. A name that a worker did not list has at most as many connections there as the last
 * one that it listed.
 */
export function candidatesOf(replies: readonly NameReply[], count: number): Candidates {
  const listed = listedNames(replies);
  const sums = listed.map(({ sum }) => sum).sort((one, other) => other - one);
  const lowest = sums[count - 1] ?? 0;
  // All names with a higher sum are before those that are left out here.
  const possible = listed.filter(({ highest }) => highest >= lowest).sort(byHighest);
  const most = Math.max(CANDIDATES_PER_NAME * count, MIN_CANDIDATES);
  const candidates = possible.slice(0, most);
  return {
    known: candidates.flatMap(({ name, sum, highest }) => (sum === highest ? [[name, sum] as const] : [])),
    unknown: candidates.flatMap(({ name, sum, highest }) => (sum < highest ? [name] : [])),
    others: firstOf([unlistedBound(replies), boundOf(possible[most])]),
    listed: listed.length,
  };
}

/** Whether no other name can come before `last`, the last one of a page with exact counts. */
export function isProven({ others }: Pick<Candidates, "others">, last: Counted | undefined): boolean {
  if (others === undefined) return true;
  return last !== undefined && byConnections(last, others) <= 0;
}

/**
 * Whether longer replies could prove more: a worker lists all, or the last name that it lists has fewer connections.
 */
export function canProveMore(replies: readonly NameReply[], maxLimit: number): boolean {
  return replies.some((reply) => reply.hasMore && (cutOf(reply) > 1 || (reply.total ?? 0) <= maxLimit));
}

function listedNames(replies: readonly NameReply[]): Listed[] {
  const allCuts = sum(replies.map(cutOf));
  const listed = new Map<string, Listed>();
  for (const reply of replies) {
    for (const [name, connections] of reply.items) {
      const known = listed.get(name) ?? { name, sum: 0, highest: allCuts };
      const highest = known.highest + connections - cutOf(reply);
      listed.set(name, { name, sum: known.sum + connections, highest });
    }
  }
  return [...listed.values()];
}

/** Returns the earliest place of a name that no worker listed: the sum of all cuts, after every last name. */
function unlistedBound(replies: readonly NameReply[]): Bound | undefined {
  const cut = replies.filter(({ hasMore }) => hasMore);
  if (cut.length === 0) return undefined;
  const after = cut.reduce((highest, { items }) => max(highest, items.at(-1)?.[0] ?? ""), "");
  return [after, sum(cut.map(cutOf))];
}

function boundOf(listed: Listed | undefined): Bound | undefined {
  return listed && [listed.name, listed.highest];
}

function firstOf(bounds: readonly (Bound | undefined)[]): Bound | undefined {
  return bounds.flatMap((bound) => (bound === undefined ? [] : [bound])).sort(byConnections)[0];
}

/** Returns the connections of the last name that a worker listed, if it has more; 0 if it listed all. */
function cutOf({ items, hasMore }: NameReply): number {
  return hasMore ? (items.at(-1)?.[1] ?? Number.POSITIVE_INFINITY) : 0;
}

function byHighest(one: Listed, other: Listed): number {
  return byConnections([one.name, one.highest], [other.name, other.highest]);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function max(one: string, other: string): string {
  return one > other ? one : other;
}
