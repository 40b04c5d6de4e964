import {
  type BusyPlace,
  type ConnectionDescription,
  type ConnectionsReply,
  parseConnectionAddress,
  type UserReply,
} from "@fanwire/protocol";

export type ConnectionPage = {
  readonly connections: readonly ConnectionDescription[];
  /** Place after which the next page begins; absent on the last page. */
  readonly next?: string;
};
export type UserPage = ConnectionPage & {
  /** Connections of the user on all workers that answered. */
  readonly count: number;
};

type Reply = {
  readonly worker: string;
  readonly connections: readonly ConnectionDescription[];
  readonly hasMore: boolean;
};

/** Combines the replies of all workers to one page of a user's connections, sorted by address. */
export function userPageOf(replies: readonly UserReply[], limit: number): UserPage {
  return { count: replies.reduce((sum, reply) => sum + reply.count, 0), ...addressPageOf(replies, limit) };
}

/**
 * Combines the replies of all workers to one page, sorted by address. The page ends with a worker's last returned
 * connection if that worker has more, so that no connection is skipped.
 */
export function addressPageOf(replies: readonly Reply[], limit: number): ConnectionPage {
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
  return { connections, ...(!isLast && last && { next: last.address }) };
}

/**
 * Combines the replies of all workers to one page, in the order of unsent bytes and topics. A worker that has more sets
 * `end`. The page ends at the smallest of these ends, because that worker may have more connections before those of
 * others.
 */
export function busyPageOf(
  replies: readonly Pick<ConnectionsReply, "connections" | "places" | "end">[],
  limit: number,
): ConnectionPage {
  const ends = replies.flatMap(({ end }) => end ?? []).sort(byPlace);
  const [end] = ends;
  const all = replies.flatMap(({ connections, places = [] }) =>
    connections.flatMap((connection, at) => {
      const place = places[at];
      return place === undefined ? [] : [{ connection, place }];
    }),
  );
  const reachable = end === undefined ? all : all.filter(({ place }) => byPlace(place, end) <= 0);
  const page = reachable.sort((one, other) => byPlace(one.place, other.place)).slice(0, limit);
  const isFull = page.length < reachable.length;
  const next = isFull ? page.at(-1)?.place : end;
  return {
    connections: page.map(({ connection }) => connection),
    ...(next !== undefined && { next: formatPlace(next) }),
  };
}

function byPlace(one: BusyPlace, other: BusyPlace): number {
  return other.unsentBytes - one.unsentBytes || other.topics - one.topics || byAddress(one.address, other.address);
}

/** Orders addresses by worker id, then by number. */
function byAddress(one: string, other: string): number {
  const [worker = "", id] = one.split(".");
  const [otherWorker = "", otherId] = other.split(".");
  if (worker !== otherWorker) return worker < otherWorker ? -1 : 1;
  return Number(id) - Number(otherId);
}

function formatPlace({ unsentBytes, topics, address }: BusyPlace): string {
  return `${unsentBytes}-${topics}-${address}`;
}

/** Returns the place of a `next` in the order of unsent bytes and topics; undefined for other text. */
export function parsePlace(text: string): BusyPlace | undefined {
  const [, unsentBytes, topics, address] = /^([0-9]{1,15})-([0-9]{1,15})-([a-z0-9]+\.[0-9]+)$/.exec(text) ?? [];
  if (address === undefined || parseConnectionAddress(address) === undefined) return undefined;
  return { unsentBytes: Number(unsentBytes), topics: Number(topics), address };
}
