import {
  type BusyPlace,
  type ConnectionDescription,
  type ConnectionsReply,
  formatConnectionAddress,
  type ListRequest,
  type TopicsReply,
  type UsersReply,
} from "@fanwire/protocol";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import type { Hub } from "../hub/hub.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import { JobQueue } from "../pacing/job-queue.ts";
import {
  type Busyness,
  type BusyScan,
  busiestConnections,
  type ConnectionFilter,
  firstIdAfter,
  isEmpty,
  matches,
  matchingIds,
  sumUnsentBytes,
} from "./connection-pages.ts";
import { countSubscribers } from "./count-subscribers.ts";
import { bytesOf, describeConnection, describeWithin } from "./describe-connection.ts";
import { NameIndex } from "./name-index.ts";
import { busiestNames, type NamePage, pageInOrder } from "./name-pages.ts";
import { RecentScans } from "./recent-scans.ts";

type RequestOf<Command extends ListRequest["command"]> = Omit<Extract<ListRequest, { command: Command }>, "command">;
type NamesRequest = RequestOf<"list-topics"> | RequestOf<"busiest-topics">;

type ListParts = {
  readonly workerId: string;
  readonly connections: Connections<Connection>;
  readonly hub: Pick<Hub, "subscriptions" | "addressOf" | "unsentBytesOf" | "connectionsOfUser">;
};

/** Lists what is on this worker, in pages. All lists together take one slice of each event-loop tick. */
export class Lists {
  readonly #parts: ListParts;
  readonly #jobs = new JobQueue();
  readonly #topics: NameIndex<SharedSubscription>;
  readonly #users: NameIndex<SharedSubscription>;
  readonly #idScans = new RecentScans<readonly number[]>(this.#jobs);
  readonly #busyScans = new RecentScans<BusyScan>(this.#jobs);
  readonly #sums = new RecentScans<number>(this.#jobs);

  constructor(parts: ListParts) {
    this.#parts = parts;
    const { subscriptions } = parts.hub;
    const index = (nameOf: (subscription: SharedSubscription) => string | undefined) =>
      new NameIndex({ jobs: this.#jobs, subscriptions, nameOf });
    // Patterns are not listed.
    this.#topics = index(({ isExact, pattern }) => (isExact ? pattern : undefined));
    this.#users = index(({ user }) => user);
    subscriptions.indexes = [this.#topics, this.#users];
  }

  /** Carries out the job of another answer, which must yield often, in turn with the lists. @throws if too many wait. */
  async run<Result>(job: Generator<unknown, Result>): Promise<Result> {
    return (await this.#jobs.run(job)).result;
  }

  /** Number of requests that were refused because too many waited. */
  get refused(): number {
    return this.#jobs.refused;
  }

  /** Number of distinct topics and patterns to which connections are subscribed. */
  get topicCount(): number {
    return this.#parts.hub.subscriptions.topicCount;
  }

  get userCount(): number {
    return this.#parts.hub.subscriptions.userCount;
  }

  /** Returns a page of the topics to which connections are subscribed. */
  async topics(
    request: NamesRequest,
    order: "name" | "busiest",
    maxBytes: number,
  ): Promise<Omit<TopicsReply, "worker">> {
    const { items: topics, ...page } = await this.#page(this.#topics, request, order, maxBytes);
    return { topics, ...page };
  }

  /** Returns a page of the users with connections. */
  async users(request: NamesRequest, order: "name" | "busiest", maxBytes: number): Promise<Omit<UsersReply, "worker">> {
    const { items: users, ...page } = await this.#page(this.#users, request, order, maxBytes);
    return { users, ...page };
  }

  async #page(
    index: NameIndex<SharedSubscription>,
    request: NamesRequest,
    order: "name" | "busiest",
    maxBytes: number,
  ): Promise<NamePage> {
    const names = await index.names();
    const page = order === "name" ? pageInOrder : busiestNames;
    return this.run(page(names, request, maxBytes));
  }

  /** Counts the connections that are subscribed to each topic itself, not to a pattern. */
  countSubscriptions(topics: readonly string[]): number[] {
    return topics.map((topic) => this.#parts.hub.subscriptions.ofTopic(topic)?.subscribers ?? 0);
  }

  /** Counts the connections with a subscription that matches a topic. @throws if too many lists wait. */
  countSubscribers(topic: string): Promise<number> {
    return this.run(countSubscribers(this.#parts.connections.all(), topic));
  }

  countConnectionsOf(users: readonly string[]): number[] {
    return users.map((user) => this.#parts.hub.subscriptions.ofUser(user)?.subscribers ?? 0);
  }

  /** Returns a page of the connections that match, in the order of their addresses. */
  async connections(
    { after, limit, ...filter }: RequestOf<"list-connections">,
    maxBytes: number,
  ): Promise<Omit<ConnectionsReply, "worker">> {
    const { workerId } = this.#parts;
    const ids = await this.#idsOf(filter);
    const first = firstIdAfter(after, workerId);
    const page = await this.run(this.#describe(ids.slice(firstIndex(ids, first)), { filter, limit, maxBytes }));
    return { connections: page.connections, hasMore: page.hasMore, total: ids.length };
  }

  /** Returns a page of the connections that match, those with most unsent bytes first, then those with most topics. */
  async busiestConnections(
    { after, limit, ...filter }: RequestOf<"busiest-connections">,
    maxBytes: number,
  ): Promise<Omit<ConnectionsReply, "worker">> {
    const { workerId, connections, hub } = this.#parts;
    const unsentBytesOf = (connection: Connection) => hub.unsentBytesOf(connection);
    const isMatch = this.#matcher(filter);
    const scan = await this.#busyScans.get(JSON.stringify([after, limit, filter]), () =>
      busiestConnections(connections.all(), { after, limit, workerId, isMatch, unsentBytesOf }),
    );
    const { first, hasMore, total } = scan;
    const ids = first.map(({ connectionId }) => connectionId);
    const page = await this.run(this.#describe(ids, { filter, limit, maxBytes }));
    const all = new Map(first.map((busyness) => [addressOf(workerId, busyness), placeOf(workerId, busyness)]));
    const places = page.connections.flatMap(({ address }) => all.get(address) ?? []);
    // The last connection that was found may have closed since.
    const lastFound = page.hasMore ? places.at(-1) : [...all.values()].at(-1);
    const end = (hasMore || page.hasMore) && lastFound !== undefined ? { end: lastFound } : {};
    return { connections: page.connections, places, ...end, hasMore: hasMore || page.hasMore, total };
  }

  /** Returns the bytes that the sockets of all connections hold. They may have been counted ten seconds ago. */
  unsentBytes(): Promise<number> {
    return this.#sums.get("", () => sumUnsentBytes(this.#parts.connections.all()));
  }

  async #idsOf(filter: ConnectionFilter): Promise<readonly number[]> {
    const { connections, hub } = this.#parts;
    const isMatch = this.#matcher(filter);
    if (filter.topic !== undefined && hub.subscriptions.ofTopic(filter.topic) === undefined) return [];
    if (filter.user !== undefined) {
      const ids = hub.connectionsOfUser(filter.user).map((each) => each.getUserData().connectionId);
      return this.run(matchingIds(openOnes(ids, connections), isMatch));
    }
    return this.#idScans.get(JSON.stringify(filter), () => matchingIds(connections.entries(), isMatch));
  }

  #matcher(filter: ConnectionFilter): (connection: Connection) => boolean {
    const { workerId } = this.#parts;
    return isEmpty(filter) ? () => true : (connection) => matches(connection, filter, workerId);
  }

  /** Describes the first of the connections that are still open and match, as many as there is room for. */
  *#describe(
    ids: readonly number[],
    {
      filter,
      limit,
      maxBytes,
    }: { readonly filter: ConnectionFilter; readonly limit: number; readonly maxBytes: number },
  ): Generator<unknown, { readonly connections: ConnectionDescription[]; readonly hasMore: boolean }> {
    const isMatch = this.#matcher(filter);
    const described: ConnectionDescription[] = [];
    let room = maxBytes;
    for (const id of ids) {
      const connection = this.#parts.connections.get(id);
      if (connection === undefined || !isMatch(connection)) continue;
      if (described.length >= limit) return { connections: described, hasMore: true };
      const description = describeWithin(maxBytes, describeConnection(connection, this.#parts.hub));
      room -= bytesOf(description) + 1;
      // A page has at least one connection, because the caller could not get past it otherwise.
      if (room < 0 && described.length > 0) return { connections: described, hasMore: true };
      described.push(description);
      // A description may have thousands of topics.
      yield;
    }
    return { connections: described, hasMore: false };
  }
}

/** Returns those that are open at each step, because a connection must not be used after it has closed. */
function* openOnes(ids: readonly number[], connections: Connections<Connection>) {
  for (const id of ids) {
    const connection = connections.get(id);
    if (connection !== undefined) yield [id, connection] as const;
  }
}

function addressOf(workerId: string, { connectionId }: Busyness): string {
  return formatConnectionAddress({ workerId, connectionId });
}

function placeOf(workerId: string, busyness: Busyness): BusyPlace {
  const { unsentBytes, topics } = busyness;
  return { unsentBytes, topics, address: addressOf(workerId, busyness) };
}

/** Returns the first index of an id that is not lower than `id`. */
function firstIndex(ids: readonly number[], id: number): number {
  let from = 0;
  let to = ids.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((ids[middle] ?? 0) >= id) to = middle;
    else from = middle + 1;
  }
  return from;
}
