import {
  type BusyPlace,
  type ConnectionAddress,
  type ConnectionsReply,
  connectionsReply,
  formatConnectionAddress,
  type ListRequest,
  MAX_BUSIEST,
  type SubscriptionsReply,
  subscriptionsReply,
  type TopicsReply,
  topicsReply,
  type UsersReply,
  usersReply,
} from "@fanwire/protocol";
import { byConnections, candidatesOf, canProveMore, isProven } from "./busiest.ts";
import { addressPageOf, busyPageOf, type ConnectionPage } from "./connection-page.ts";
import type { Result } from "./failure.ts";
import type { ListLimit } from "./list-limit.ts";
import { type Counted, type NamePage, type NameReply, namePageOf, type Total, totalOf } from "./name-page.ts";
import { type Gap, type WorkerQuestions, widerGap } from "./worker-questions.ts";

/** Maximum place of an item in the order of connections that a page reaches. */
export const MAX_RANK = 1_000;
/**
 * Each worker first returns this many times the wanted items, because the busiest ones of the cluster need not be its
 * own.
 */
const FIRST_FACTOR = 2;
const MIN_FIRST = 200;
/** Maximum bytes of the names in one question. */
const MAX_NAME_BYTES = 65_536;

type NameFilter = { readonly prefix?: string | undefined; readonly search?: string | undefined };
type NameRequest = NameFilter & { readonly after?: string | undefined; readonly limit: number };
type BusiestRequest = NameFilter & { readonly rank: number; readonly limit: number };
type ConnectionFilter = {
  readonly search?: string | undefined;
  readonly protocol?: string | undefined;
  readonly user?: string | undefined;
  readonly topic?: string | undefined;
};
type ConnectionRequest = ConnectionFilter & { readonly limit: number };

/** A page of names, and the number of all as far as it is known. */
export type NameList = NamePage & Total & Gap;
/** `exact: false`: names that are not listed may have more connections. */
export type BusiestList = NameList & { readonly exact?: false };
export type ConnectionList = ConnectionPage & { readonly total: number } & Gap;
type Kind = "topics" | "users";
type Replies = Result<{ readonly replies: readonly NameReply[]; readonly gap: Gap }>;

/** Lists what all workers have, in pages. */
export class ClusterLists {
  readonly #questions: WorkerQuestions;
  readonly #limit: ListLimit;

  constructor(questions: WorkerQuestions, limit: ListLimit) {
    this.#questions = questions;
    this.#limit = limit;
  }

  /** Returns one page of the topics that have subscribers, or of the users with connections, in the order of names. */
  names(kind: Kind, request: NameRequest): Promise<Result<NameList>> {
    return this.#limit.run(() => this.#names(kind, request));
  }

  async #names(kind: Kind, request: NameRequest): Promise<Result<NameList>> {
    const asked = await this.#ask(kind, "list", request);
    if (!asked.ok) return asked;
    const { replies, gap } = asked;
    const page = namePageOf(replies, request.limit);
    const isWhole = request.after === undefined && page.next === undefined;
    const total = totalOf(replies, gap.complete === undefined, isWhole ? page.items.length : undefined);
    return { ok: true, ...page, ...total, ...gap };
  }

  /**
   * Returns the names with most connections after a rank. Asks each worker for its own busiest names, then all workers
   * for the exact counts of these. If other names may have more connections, asks again for as many names as a reply
   * may have.
   */
  busiest(kind: Kind, request: BusiestRequest): Promise<Result<BusiestList>> {
    return this.#limit.run(() => this.#busiest(kind, request));
  }

  async #busiest(kind: Kind, request: BusiestRequest): Promise<Result<BusiestList>> {
    const wanted = request.rank + request.limit;
    const first = Math.min(MAX_BUSIEST, Math.max(FIRST_FACTOR * wanted, MIN_FIRST));
    const { canProveMore, ...answer } = await this.#busiestOf(kind, request, first);
    if (!answer.ok || answer.exact === undefined || first === MAX_BUSIEST || !canProveMore) return answer;
    const { canProveMore: _, ...better } = await this.#busiestOf(kind, request, MAX_BUSIEST);
    return better;
  }

  async #busiestOf(
    kind: Kind,
    request: BusiestRequest,
    ofEach: number,
  ): Promise<Result<BusiestList> & { readonly canProveMore?: boolean }> {
    const { rank, limit: wanted, ...filter } = request;
    const limit = Math.min(wanted, MAX_RANK - rank);
    const asked = await this.#ask(kind, "busiest", { ...filter, limit: ofEach });
    if (!asked.ok) return asked;
    const { replies } = asked;
    const candidates = candidatesOf(replies, rank + limit + 1);
    const counted = await this.#count(kind, candidates.unknown);
    if (!counted.ok) return counted;
    const gap = widerGap(asked.gap, counted.gap);
    const sorted = [...candidates.known, ...counted.items].filter(([, count]) => count > 0).sort(byConnections);
    const items = sorted.slice(rank, rank + limit);
    const isWhole = replies.every(({ hasMore }) => !hasMore);
    const hasOthers = sorted.length > rank + limit || (candidates.others !== undefined && items.length > 0);
    return {
      ok: true,
      items,
      ...(hasOthers && rank + limit < MAX_RANK && { next: String(rank + limit) }),
      ...totalOf(replies, gap.complete === undefined, isWhole ? candidates.listed : undefined),
      ...(!isProven(candidates, sorted[rank + limit - 1]) && { exact: false }),
      ...gap,
      canProveMore: canProveMore(replies, MAX_BUSIEST),
    };
  }

  /** Counts the subscribers of each topic itself, patterns excluded, on all workers that answer. */
  async countSubscriptions(topics: readonly string[]): Promise<Result<{ readonly connections: number[] } & Gap>> {
    const counted = await this.#count("topics", topics);
    if (!counted.ok) return counted;
    return { ok: true, connections: counted.items.map(([, count]) => count), ...counted.gap };
  }

  /** Returns one page of the connections that match, in the order of addresses. */
  connections({
    after,
    ...filter
  }: ConnectionRequest & { readonly after?: ConnectionAddress | undefined }): Promise<Result<ConnectionList>> {
    const request = { ...filter, ...(after && { after: formatConnectionAddress(after) }) };
    return this.#limit.run(() => this.#connections({ command: "list-connections", ...request }, addressPageOf));
  }

  /**
   * Returns one page of the connections that match, those with most unsent bytes first, then those with most topics.
   */
  busiestConnections(
    request: ConnectionRequest & { readonly after?: BusyPlace | undefined },
  ): Promise<Result<ConnectionList>> {
    return this.#limit.run(() => this.#connections({ command: "busiest-connections", ...request }, busyPageOf));
  }

  async #connections(
    request: Extract<ListRequest, { command: "list-connections" | "busiest-connections" }>,
    pageOf: (replies: readonly ConnectionsReply[], limit: number) => ConnectionPage,
  ): Promise<Result<ConnectionList>> {
    const asked = await this.#questions.ask<ConnectionsReply>(request, connectionsReply);
    if (!asked.ok) return asked;
    const { replies, gap } = asked;
    const total = replies.reduce((sum, reply) => sum + reply.total, 0);
    return { ok: true, ...pageOf(replies, request.limit), total, ...gap };
  }

  async #ask(kind: Kind, list: "list" | "busiest", request: NameRequest): Promise<Replies> {
    const command = `${list}-${kind}` as const;
    if (kind === "topics") {
      const asked = await this.#questions.ask<TopicsReply>({ ...request, command }, topicsReply);
      return asked.ok
        ? { ...asked, replies: asked.replies.map(({ topics: items, ...rest }) => ({ items, ...rest })) }
        : asked;
    }
    const asked = await this.#questions.ask<UsersReply>({ ...request, command }, usersReply);
    return asked.ok
      ? { ...asked, replies: asked.replies.map(({ users: items, ...rest }) => ({ items, ...rest })) }
      : asked;
  }

  /** Counts the connections of each name on all workers that answer. */
  async #count(
    kind: Kind,
    names: readonly string[],
  ): Promise<Result<{ readonly items: readonly Counted[]; readonly gap: Gap }>> {
    const items: Counted[] = [];
    let gap: Gap = {};
    while (items.length < names.length) {
      const some = firstNames(names.slice(items.length));
      const asked = await this.#questions.ask<SubscriptionsReply>(
        kind === "topics"
          ? { command: "count-subscriptions", topics: some }
          : { command: "count-user-connections", users: some },
        subscriptionsReply,
      );
      if (!asked.ok) return asked;
      for (const [at, name] of some.entries()) {
        items.push([name, asked.replies.reduce((total, { connections }) => total + (connections[at] ?? 0), 0)]);
      }
      gap = widerGap(gap, asked.gap);
    }
    return { ok: true, items, gap };
  }
}

/** Returns the first names that one question has room for, at least one of them. */
function firstNames(names: readonly string[]): string[] {
  let room = MAX_NAME_BYTES;
  const first: string[] = [];
  for (const name of names) {
    room -= Buffer.byteLength(JSON.stringify(name)) + 1;
    if (room < 0 && first.length > 0) break;
    first.push(name);
  }
  return first;
}
