import type { ConnectionDescription, UserReply } from "@fanwire/protocol";

export type UserPage = {
  /** Connections of the user on all workers that answered. */
  readonly count: number;
  readonly connections: readonly ConnectionDescription[];
  /** Address after which there are more; absent on the last page. */
  readonly next?: string;
};

/**
 * One page of what all workers answered, in the order of addresses. What lies behind a worker's page that is not its last is left for
 * the next one, so that nothing is passed over.
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
