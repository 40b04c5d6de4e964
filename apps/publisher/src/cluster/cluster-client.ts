import { type Bus, type History, parseJson } from "@fanwire/bus";
import {
  type ConnectionAddress,
  type ConnectionDescription,
  type ControlRequest,
  connectionReply,
  formatConnectionAddress,
  type MemberNamesOfReply,
  type MemberNamesReply,
  type MembersReply,
  memberNamesOfReply,
  memberNamesReply,
  membersReply,
  type Subjects,
  subscribeReply,
  subscribersReply,
  type UserReply,
  userReply,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { ChannelServers } from "./channel-servers.ts";
import { type UserPage, userPageOf } from "./connection-page.ts";
import { countMembersOf, countsOf } from "./count-members.ts";
import type { ClusterCounters } from "./counters.ts";
import { describeAllWorkers } from "./describe-all.ts";
import type { Failure, Result } from "./failure.ts";
import { ListLimit } from "./list-limit.ts";
import { ClusterLists } from "./lists.ts";
import { type MemberPage, memberPageOf, type NamesPage, namesPageOf } from "./member-page.ts";
import { ClusterOverview } from "./overview.ts";
import { ClusterPublisher } from "./publish.ts";
import { ReceiptCollector } from "./receipt-collector.ts";
import { type Gap, WorkerQuestions } from "./worker-questions.ts";
import { WorkerRegistry } from "./worker-registry.ts";
import { WorkerRequests } from "./worker-request.ts";

/** Commands for all connections of a user. */
type UserCommand = Exclude<Extract<ControlRequest, { user: string }>, { command: "find-user" }>;
type FindUser = { readonly user: string; readonly after: ConnectionAddress | undefined; readonly limit: number };
type FindMembers = { readonly topic: string; readonly after?: string | undefined; readonly limit: number };
type ClusterParts = {
  readonly bus: Bus;
  readonly history: Pick<History, "append" | "describe">;
  readonly subjects: Subjects;
  readonly requestTimeoutMs: number;
  readonly receiptTimeoutMs: number;
  readonly counters: ClusterCounters;
  readonly log: Log;
};

/** The cluster as the HTTP API uses it: {@link publisher} publishes, the methods ask and command workers. */
export class Cluster {
  readonly publisher: ClusterPublisher;
  readonly overview: ClusterOverview;
  readonly lists: ClusterLists;
  readonly #registry: WorkerRegistry;
  readonly #channelServers: ChannelServers;
  readonly #workers: WorkerRequests;
  readonly #questions: WorkerQuestions;
  readonly #limit: ListLimit;

  constructor(parts: ClusterParts) {
    const timeoutMs = parts.receiptTimeoutMs;
    const call = async () => {
      const described = await describeAllWorkers(parts, { detailed: false });
      return described.ok ? described.all : undefined;
    };
    const registry = new WorkerRegistry({ ...parts, timeoutMs, call });
    const receipts = new ReceiptCollector({ ...parts, registry, timeoutMs });
    this.#registry = registry;
    this.#channelServers = new ChannelServers({ ...parts, registry });
    this.#workers = new WorkerRequests({ ...parts, registry, channelServers: this.#channelServers });
    this.#questions = new WorkerQuestions({ ...parts, registry });
    this.#limit = new ListLimit(parts.requestTimeoutMs);
    this.lists = new ClusterLists(this.#questions, this.#limit);
    this.overview = new ClusterOverview({ ...parts, registry });
    this.publisher = new ClusterPublisher({ ...parts, workers: this.#workers, receipts });
  }

  /** Ends the periodic questions to workers and channel servers. */
  stop(): void {
    this.#channelServers.stop();
    this.#registry.stop();
  }

  findConnection(address: ConnectionAddress): Promise<Result<{ readonly connection: ConnectionDescription }>> {
    return this.#askAboutConnection("find-connection", address);
  }

  closeConnection(address: ConnectionAddress): Promise<Result<{ readonly connection: ConnectionDescription }>> {
    return this.#askAboutConnection("close-connection", address);
  }

  /** Subscribes or unsubscribes one connection. */
  async changeSubscription(
    command: "subscribe" | "unsubscribe",
    { workerId, connectionId }: ConnectionAddress,
    topic: string,
  ): Promise<{ readonly ok: true } | Failure> {
    const answer = await this.#workers.ask(workerId, { command, connectionId, topic });
    if (!answer.ok) return answer;
    const reply = subscribeReply.safeParse(parseJson(answer.message));
    if (!reply.success) return { ok: false, reason: "malformed-reply", cause: reply.error };
    if (reply.data.outcome === "no-connection") return { ok: false, reason: "connection-not-found" };
    if (reply.data.outcome === "topic-limit") return { ok: false, reason: "topic-limit" };
    return { ok: true };
  }

  /** Returns one page of the user's connections on all workers that answer, sorted by address. */
  findUser(request: FindUser): Promise<Result<UserPage & Gap>> {
    return this.#limit.runInTurn(() => this.#findUser(request));
  }

  async #findUser({ user, after, limit }: FindUser): Promise<Result<UserPage & Gap>> {
    const request = {
      command: "find-user",
      user,
      limit,
      ...(after !== undefined && { after: formatConnectionAddress(after) }),
    } as const;
    const asked = await this.#questions.ask<UserReply>(request, userReply);
    return asked.ok ? { ok: true, ...userPageOf(asked.replies, limit), ...asked.gap } : asked;
  }

  /** Sends a command for all connections of a user to all workers. `isComplete`: all of them have carried it out. */
  async commandUser(
    request: UserCommand,
  ): Promise<Result<{ readonly connections: number; readonly isComplete: boolean }>> {
    const asked = await this.#questions.ask<UserReply>(request, userReply);
    if (!asked.ok) return asked;
    const connections = asked.replies.reduce((sum, reply) => sum + reply.count, 0);
    return { ok: true, connections, isComplete: asked.gap.complete === undefined };
  }

  /**
   * Counts the connections that would receive a publication to the topic, and the users that have joined it with
   * presence, on all workers that answer.
   */
  async countSubscribers(
    topic: string,
  ): Promise<Result<{ readonly connections: number; readonly members: number } & Gap>> {
    const asked = await this.#questions.ask({ command: "count-subscribers", topic }, subscribersReply);
    if (!asked.ok) return asked;
    const connections = asked.replies.reduce((sum, reply) => sum + reply.connections, 0);
    const counts = asked.replies.flatMap(({ members }) => (members > 0 ? members : []));
    if (counts.length <= 1) return { ok: true, connections, members: counts[0] ?? 0, ...asked.gap };
    const counted = await this.#limit.runInTurn(() => this.#countMembers(topic));
    if (!counted.ok) return counted;
    return { connections, ...asked.gap, ...counted };
  }

  /**
   * Counts the users that have joined the topic with presence, on all workers that answer. A user may have connections
   * to several.
   */
  async #countMembers(topic: string): Promise<Result<{ readonly members: number } & Gap>> {
    let members = 0;
    let gap: Gap = {};
    let after: string | undefined;
    do {
      const page: Result<NamesPage & Gap> = await this.#memberNames(topic, after);
      if (!page.ok) return page;
      const { ok: _, users, next, ...pageGap } = page;
      members += users.size;
      after = next;
      gap = { ...gap, ...pageGap };
    } while (after !== undefined);
    return { ok: true, members, ...gap };
  }

  /** Counts the users that have joined each of several topics with presence. Fails unless all workers answer. */
  countMembersOf(topics: readonly string[]): Promise<Result<{ readonly counts: readonly number[] }>> {
    return countMembersOf(topics, {
      ask: async (some) => {
        const request: ControlRequest = { command: "member-names-of", topics: [...some] };
        const asked = await this.#questions.ask<MemberNamesOfReply>(request, memberNamesOfReply);
        return asked.ok
          ? { ok: true, counts: countsOf(asked.replies, some.length), isComplete: asked.gap.complete === undefined }
          : asked;
      },
      countOne: (topic) => this.#limit.runInTurn(() => this.#countMembers(topic)),
    });
  }

  /** Returns the users of one page of the members of a topic, sorted, on all workers that answer. */
  memberNames(topic: string, after?: string): Promise<Result<NamesPage & Gap>> {
    return this.#limit.runInTurn(() => this.#memberNames(topic, after));
  }

  async #memberNames(topic: string, after?: string): Promise<Result<NamesPage & Gap>> {
    const request = { command: "member-names", topic, ...(after !== undefined && { after }) } as const;
    const asked = await this.#questions.ask<MemberNamesReply>(request, memberNamesReply);
    return asked.ok ? { ok: true, ...namesPageOf(asked.replies), ...asked.gap } : asked;
  }

  /** Returns one page of the members of a topic on all workers that answer, sorted by user, and the number of all. */
  findMembers(request: FindMembers): Promise<Result<MemberPage & { readonly count: number } & Gap>> {
    return this.#limit.runInTurn(() => this.#findMembers(request));
  }

  async #findMembers({
    topic,
    after,
    limit,
  }: FindMembers): Promise<Result<MemberPage & { readonly count: number } & Gap>> {
    const request = { command: "members", topic, limit, ...(after !== undefined && { after }) } as const;
    const asked = await this.#questions.ask<MembersReply>(request, membersReply);
    if (!asked.ok) return asked;
    const page = memberPageOf(asked.replies, limit);
    if (after === undefined && page.next === undefined) {
      return { ok: true, ...page, count: page.members.length, ...asked.gap };
    }
    const counted = await this.#countMembers(topic);
    if (!counted.ok) return counted;
    const { ok, members: count, ...gap } = counted;
    return { ok, ...page, count, ...asked.gap, ...gap };
  }

  async #askAboutConnection(
    command: "find-connection" | "close-connection",
    { workerId, connectionId }: ConnectionAddress,
  ): Promise<Result<{ readonly connection: ConnectionDescription }>> {
    const answer = await this.#workers.ask(workerId, { command, connectionId });
    if (!answer.ok) return answer;
    const reply = connectionReply.safeParse(parseJson(answer.message));
    if (!reply.success) return { ok: false, reason: "malformed-reply", cause: reply.error };
    const { connection } = reply.data;
    return connection === null ? { ok: false, reason: "connection-not-found" } : { ok: true, connection };
  }
}
