import type { ConnectionDescription, UserReply } from "@fanwire/protocol";

export type UserPage = {
  /** Connections of the user on all workers that answered. */
  readonly count: number;
  readonly connections: readonly ConnectionDescription[];
  /** Address after which the next page begins; absent on the last page. */
  readonly next?: string;
};

/**
 * Combines the replies of all workers to one page, sorted by address. The page ends where a worker's own page ends before that
 * worker's last connection, so that no connection is skipped.
 */
export function pageOf(replies: readonly UserReply[], limit: number): UserPage {
  const count = replies.reduce((sum, reply) => sum + reply.count, 0);
  const connections: ConnectionDescription[] = [];
  let isLast = true;
  for (const reply of replies.toSorted((one, other) => (one.worker < other.worker ? -1 : 1))) {
    const room = limit - connections.length;
    connections.push(...reply.connections.slice(0, room));
    if (!reply.hasMore && reply.connections.length <= room) continue;
    isLast = false;
    break;
  }
  const last = connections.at(-1);
  return { count, connections, ...(!isLast && last && { next: last.address }) };
}
