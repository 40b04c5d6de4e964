import { type BusyPlace, formatConnectionAddress, parseConnectionAddress } from "@fanwire/protocol";
import { remoteAddressOf } from "../connections/client-address.ts";
import type { Connection } from "../connections/connection.ts";
import { countMembers, hasMember } from "../connections/small-set.ts";
import { FirstInOrder } from "./first-in-order.ts";

const CHECK_EVERY = 256;

export type ConnectionFilter = {
  readonly search?: string | undefined;
  readonly protocol?: string | undefined;
  readonly user?: string | undefined;
  readonly topic?: string | undefined;
};

/** Numbers by which connections are ordered. */
export type Busyness = {
  readonly connectionId: number;
  readonly unsentBytes: number;
  readonly topics: number;
};

export type BusyScan = {
  /** The first connections after the place of the request. */
  readonly first: readonly Busyness[];
  readonly hasMore: boolean;
  /** Number of all connections that match. */
  readonly total: number;
};

export function isEmpty({ search, protocol, user, topic }: ConnectionFilter): boolean {
  return search === undefined && protocol === undefined && user === undefined && topic === undefined;
}

export function matches(
  connection: Connection,
  { search, protocol, user, topic }: ConnectionFilter,
  workerId: string,
): boolean {
  const state = connection.getUserData();
  if (protocol !== undefined && state.protocol.name !== protocol) return false;
  if (user !== undefined && state.grant.user !== user) return false;
  if (topic !== undefined && !hasMember(state.topics, topic)) return false;
  if (search === undefined) return true;
  if (state.grant.user?.includes(search)) return true;
  const { connectionId } = state;
  if (formatConnectionAddress({ workerId, connectionId }).includes(search)) return true;
  // Last, because it is a copy from uWebSockets.js.
  return remoteAddressOf(connection).includes(search);
}

/** Returns the ids of the connections that match, in ascending order. */
export function* matchingIds(
  connections: Iterable<readonly [id: number, connection: Connection]>,
  isMatch: (connection: Connection) => boolean,
): Generator<unknown, number[]> {
  const ids: number[] = [];
  let scanned = 0;
  for (const [id, connection] of connections) {
    if (isMatch(connection)) ids.push(id);
    if (++scanned % CHECK_EVERY === 0) yield;
  }
  yield;
  // Almost sorted, because connections are kept in the order in which they were opened.
  return ids.sort((one, other) => one - other);
}

/** Returns the connections that match with most unsent bytes, then with most topics, after a place. */
export function* busiestConnections(
  connections: Iterable<Connection>,
  parts: {
    readonly after: BusyPlace | undefined;
    readonly limit: number;
    readonly workerId: string;
    isMatch(connection: Connection): boolean;
    unsentBytesOf(connection: Connection): number;
  },
): Generator<unknown, BusyScan> {
  const { after, limit, workerId, isMatch, unsentBytesOf } = parts;
  const first = new FirstInOrder<Busyness>(limit + 1, byBusyness);
  let total = 0;
  let scanned = 0;
  for (const connection of connections) {
    if (++scanned % CHECK_EVERY === 0) yield;
    if (!isMatch(connection)) continue;
    total++;
    const { connectionId, topics } = connection.getUserData();
    const busyness = { connectionId, unsentBytes: unsentBytesOf(connection), topics: countMembers(topics) };
    if (after === undefined || isBehind(busyness, after, workerId)) first.add(busyness);
  }
  yield;
  const found = first.take();
  return { first: found.slice(0, limit), hasMore: found.length > limit, total };
}

/** Returns the sum of the bytes that sockets hold. */
export function* sumUnsentBytes(connections: Iterable<Connection>): Generator<unknown, number> {
  let bytes = 0;
  let scanned = 0;
  for (const connection of connections) {
    bytes += connection.getBufferedAmount();
    if (++scanned % CHECK_EVERY === 0) yield;
  }
  return bytes;
}

/** Returns this worker's lowest connection id behind the address `after`. Addresses are ordered by worker id first. */
export function firstIdAfter(after: string | undefined, worker: string): number {
  const address = after === undefined ? undefined : parseConnectionAddress(after);
  if (address === undefined || address.workerId < worker) return 0;
  return address.workerId === worker ? address.connectionId + 1 : Number.POSITIVE_INFINITY;
}

function isBehind({ connectionId, unsentBytes, topics }: Busyness, after: BusyPlace, workerId: string): boolean {
  if (unsentBytes !== after.unsentBytes) return unsentBytes < after.unsentBytes;
  if (topics !== after.topics) return topics < after.topics;
  return connectionId >= firstIdAfter(after.address, workerId);
}

function byBusyness(one: Busyness, other: Busyness): number {
  return other.unsentBytes - one.unsentBytes || other.topics - one.topics || one.connectionId - other.connectionId;
}
