import type { MemberNamesReply, MembersReply } from "@fanwire/protocol";

export type MemberPage = {
  /** Sorted by user. */
  readonly members: readonly { readonly user: string; readonly info?: unknown; readonly connections: number }[];
  /** User after which the next page begins; undefined on the last page. */
  readonly next: string | undefined;
};

export type NamesPage = {
  readonly users: ReadonlySet<string>;
  /** User after which the next page begins; undefined on the last page. */
  readonly next: string | undefined;
};

type Known = { user: string; info?: unknown; since: number; connections: number };

/**
 * Combines the replies of all workers to one page. A user may have connections to several workers, so the page ends
 * where the shortest page of a worker with more members ends.
 */
export function memberPageOf(replies: readonly MembersReply[], limit: number): MemberPage {
  const end = endOf(replies.map(({ members, hasMore }) => ({ last: members.at(-1)?.user, hasMore })));
  const byUser = new Map<string, Known>();
  for (const { members } of replies) {
    for (const member of members) {
      const known = byUser.get(member.user);
      if (end !== undefined && member.user > end) continue;
      const connections = member.connections + (known?.connections ?? 0);
      const oldest = known === undefined || member.since < known.since ? member : known;
      byUser.set(member.user, { ...oldest, connections });
    }
  }
  const all = [...byUser.values()].sort((one, other) => (one.user < other.user ? -1 : 1));
  const members = all.slice(0, limit).map(({ since: _, ...member }) => member);
  const isLast = end === undefined && members.length === all.length;
  return { members, next: isLast ? undefined : members.at(-1)?.user };
}

/** Combines the replies of all workers to one page of names. */
export function namesPageOf(replies: readonly MemberNamesReply[]): NamesPage {
  const end = endOf(replies.map(({ users, hasMore }) => ({ last: users.at(-1), hasMore })));
  const users = new Set<string>();
  for (const reply of replies) for (const user of reply.users) if (end === undefined || user <= end) users.add(user);
  return { users, next: end };
}

/** Returns the user up to which the pages of all workers are complete; undefined if all are to their end. */
function endOf(pages: readonly { readonly last: string | undefined; readonly hasMore: boolean }[]): string | undefined {
  const ends = pages.flatMap(({ last, hasMore }) => (hasMore && last !== undefined ? last : []));
  return ends.reduce<string | undefined>((end, last) => (end === undefined || last < end ? last : end), undefined);
}
