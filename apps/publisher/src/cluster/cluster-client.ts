import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage, History, PublishOutcome, RequestOutcome } from "@fanwire/bus";
import {
  type ConnectionAddress,
  type ConnectionDescription,
  type ControlRequest,
  connectionReply,
  type DurableTarget,
  deliveryReply,
  followersReply,
  formatConnectionAddress,
  isWorkerId,
  type Publication,
  recallReply,
  type Subjects,
  subscribeReply,
  type UserReply,
  userReply,
  type WorkerDescription,
  workerDescription,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { ApiError, refusalCodes } from "../http/errors.ts";
import type { PublisherMetrics } from "../metrics.ts";
import { encodeRequest, parseJson } from "./control-codec.ts";
import {
  type Accepted,
  encodeDurable,
  encodePublication,
  fromDelivery,
  type PublishRefusal,
  type PublishRequest,
  type PublishResult,
  type Receipt,
  receiptOfConnection,
  resultOfAll,
  runsOf,
  storedNow,
} from "./publish-result.ts";
import { type Before, Receipts } from "./receipts.ts";
import { pageOf, type UserPage } from "./user-page.ts";
import { askWorkers } from "./worker-question.ts";
import { WorkerRegistry } from "./worker-registry.ts";

/** Workers answer at once. After this time without a reply all of them have answered. */
const GATHER_STALL_MS = 250;
const GATHER_MAX_WAIT_MS = 2_000;
/** Delay between two requests to a worker that NATS does not reach. */
const TRY_AGAIN_AFTER_MS = 50;
/** A NATS node may learn of a new worker later than a caller learns an address of it. */
const UNKNOWN_FOR_MS = 250;

/** Commands for all connections of a user. */
type UserCommand = Exclude<Extract<ControlRequest, { user: string }>, { command: "find-user" }>;
type FindUser = { readonly user: string; readonly after: ConnectionAddress | undefined; readonly limit: number };
/** Absent when every worker that there is has answered. */
export type Gap = {
  /** Known workers that did not answer. */
  readonly missing?: number;
  readonly complete?: false;
};
type Asked<Reply> = { readonly replies: readonly Reply[]; readonly gap: Gap };

type ClusterParts = {
  readonly bus: Bus;
  readonly history: Pick<History, "append">;
  readonly subjects: Subjects;
  readonly requestTimeoutMs: number;
  readonly receiptTimeoutMs: number;
  readonly metrics: PublisherMetrics;
  readonly log: Log;
};

/** The cluster as seen from the HTTP API: what can be published to it and asked of it, over NATS. */
export class Cluster {
  readonly #parts: ClusterParts;
  readonly #registry: WorkerRegistry;
  readonly #receipts: Receipts;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    const timeoutMs = parts.receiptTimeoutMs;
    this.#registry = new WorkerRegistry({ ...parts, timeoutMs, call: () => this.#callWorkers() });
    this.#receipts = new Receipts({ ...parts, registry: this.#registry, timeoutMs });
  }

  /** Ends the periodic questions. */
  stop(): void {
    this.#registry.stop();
  }

  /** Publishes; to a connection, with its worker's word about it. */
  publish(request: PublishRequest): Promise<PublishResult> {
    return this.#start(request).result;
  }

  /**
   * Publishes a batch, in its order: one result for each request. What follows something durable is published when that is stored: it
   * could overtake it otherwise.
   */
  async publishAll(requests: readonly PublishRequest[]): Promise<PublishResult[]> {
    const results: Promise<PublishResult[]>[] = [];
    for (const { kind, requests: alike } of runsOf(requests)) {
      // One tick hands all of a run over, so that their order is the order on the wire.
      const started = kind === "plain" ? [] : alike.map((request) => this.#start(request));
      const result = kind === "plain" ? this.#publishPlain(alike) : Promise.all(started.map((each) => each.result));
      // Awaited below, which may be long after it failed.
      result.catch(() => {});
      results.push(result);
      if (kind === "durable") await Promise.all(started.map(({ isStored }) => isStored));
    }
    return (await Promise.all(results)).flat();
  }

  /** Publishes and does not ask whether anybody was there, as the original cluster did. */
  async publishUnasked(publication: Publication): Promise<PublishResult> {
    const result = await this.#publishConfirmed(publication);
    this.#parts.metrics.countPublication(publication, result);
    return result;
  }

  /** @throws ApiError `connection_not_found` when nobody has it. */
  findConnection(address: ConnectionAddress): Promise<ConnectionDescription> {
    return this.#askAboutConnection("find-connection", address);
  }

  /** @throws ApiError `connection_not_found` when nobody has it. */
  async closeConnection(address: ConnectionAddress): Promise<void> {
    await this.#askAboutConnection("close-connection", address);
  }

  /** Every worker that answers, by id, and the ids of those that are known and do not. */
  async describeWorkers(): Promise<{ workers: Omit<WorkerDescription, "process">[]; missing: string[] }> {
    const described = await this.#callWorkers();
    for (const { id, process } of described) this.#registry.answered(id, process);
    const ids = new Set(described.map(({ id }) => id));
    await this.#registry.findEnded(this.#registry.workers.filter((worker) => !ids.has(worker)));
    return {
      // Which process it is tells more of its machine than a caller needs.
      workers: described.map(({ process: _, ...worker }) => worker).sort((one, other) => (one.id < other.id ? -1 : 1)),
      missing: this.#registry.workers.filter((worker) => !ids.has(worker)).sort(),
    };
  }

  /** @throws ApiError when the worker does not answer. */
  async follow(
    command: "subscribe" | "unsubscribe",
    { workerId, connectionId }: ConnectionAddress,
    topic: string,
  ): Promise<"done" | "topic-limit" | "gone"> {
    const reply = subscribeReply.safeParse(parseJson(await this.#ask(workerId, { command, connectionId, topic })));
    if (!reply.success) throw new ApiError("malformed_reply", { cause: reply.error });
    return reply.data.outcome;
  }

  /** A page of the user's connections on all workers that answer, in the order of their addresses. */
  async findUser({ user, after, limit }: FindUser): Promise<UserPage & Gap> {
    const request = {
      command: "find-user",
      user,
      limit,
      ...(after !== undefined && { after: formatConnectionAddress(after) }),
    } as const;
    const { replies, gap } = await this.#askAll<UserReply>(request, userReply);
    return { ...pageOf(replies, limit), ...gap };
  }

  /**
   * Does something to all connections of a user: on every worker, or it is not said to be done.
   *
   * @throws ApiError `worker_timeout` when a worker did not answer.
   */
  async commandUser(request: UserCommand): Promise<number> {
    const { replies, gap } = await this.#askAll<UserReply>(request, userReply);
    const count = replies.reduce((sum, reply) => sum + reply.count, 0);
    if (gap.complete === undefined) return count;
    throw new ApiError("worker_timeout", {
      message: `Done for ${count} connections. Some workers did not answer in time: theirs may have been done or not.`,
    });
  }

  /** Connections on all workers that answer which a publication to the topic reaches. */
  async countFollowers(topic: string): Promise<{ readonly connections: number } & Gap> {
    const { replies, gap } = await this.#askAll({ command: "count-subscribers", topic }, followersReply);
    return { connections: replies.reduce((sum, { connections }) => sum + connections, 0), ...gap };
  }

  /** @throws ApiError when NATS cannot be asked. */
  async #askAll<Reply extends { readonly worker: string }>(
    request: ControlRequest,
    schema: z.ZodType<Reply>,
  ): Promise<Asked<Reply>> {
    const { requestTimeoutMs: timeoutMs } = this.#parts;
    const answers = await askWorkers({ ...this.#parts, registry: this.#registry, timeoutMs }, { request, schema });
    if (answers === undefined) throw new ApiError("nats_unavailable");
    const { replies, missing, areAllKnown } = answers;
    const isComplete = areAllKnown && missing.size === 0;
    return { replies: [...replies.values()], gap: isComplete ? {} : { missing: missing.size, complete: false } };
  }

  /** Returns a description from every worker that answers. */
  async #callWorkers(): Promise<WorkerDescription[]> {
    const { bus, subjects, log } = this.#parts;
    const outcome = await bus.gather(subjects.allWorkers, encodeRequest({ command: "describe" }), {
      stallMs: GATHER_STALL_MS,
      maxWaitMs: GATHER_MAX_WAIT_MS,
    });
    if (!outcome.ok) throw new ApiError(refusalCodes[outcome.reason]);

    return outcome.messages.flatMap((message) => {
      const reply = workerDescription.safeParse(parseJson(message));
      // One that is misunderstood, perhaps of another version, must not hide the others.
      if (!reply.success) log.warn({ err: reply.error }, "invalid reply from worker");
      return reply.success ? [reply.data] : [];
    });
  }

  /** @throws ApiError when the worker does not answer. */
  async #ask(workerId: string, request: ControlRequest): Promise<BusMessage> {
    const { bus, subjects } = this.#parts;
    const outcome = await this.#askWorker(workerId, (timeoutMs) =>
      bus.request(subjects.worker(workerId), encodeRequest(request), { timeoutMs }),
    );
    if (!outcome.ok) throw new ApiError(refusalCodes[outcome.reason]);
    return outcome.message;
  }

  /**
   * Asks one worker; again while NATS does not reach it, since it may be reconnecting. `connection-not-found` only when the worker is
   * known to have ended, or when nobody has heard of it though all workers are known.
   */
  async #askWorker(workerId: string, ask: (timeoutMs: number) => Promise<RequestOutcome>): Promise<WorkerOutcome> {
    const startedAt = performance.now();
    const leftMs = () => startedAt + this.#parts.requestTimeoutMs - performance.now();
    for (;;) {
      if (this.#registry.stateOf(workerId) === "ended") return NOT_FOUND;
      const outcome = await ask(Math.max(1, leftMs()));
      if (outcome.ok) {
        this.#registry.answered(workerId);
        return outcome;
      }
      if (outcome.reason === "timeout") return WORKER_TIMEOUT;
      if (outcome.reason !== "no-responders") return { ok: false, reason: outcome.reason };
      // Nobody has received the request, so that it can be sent again.
      if (await this.#hasNobody(workerId, performance.now() - startedAt)) return NOT_FOUND;
      if (leftMs() < TRY_AGAIN_AFTER_MS) return WORKER_TIMEOUT;
      await delay(TRY_AGAIN_AFTER_MS);
    }
  }

  async #hasNobody(workerId: string, triedForMs: number): Promise<boolean> {
    const registry = this.#registry;
    if (registry.stateOf(workerId) === "here") await registry.findEnded([workerId]);
    const mayBeNews = triedForMs < Math.min(UNKNOWN_FOR_MS, this.#parts.requestTimeoutMs / 2);
    const isUnknown = registry.stateOf(workerId) === "unknown" && registry.isSettled && !mayBeNews;
    if (isUnknown && (await this.#isUnheardOf(workerId))) return true;
    return registry.stateOf(workerId) === "ended";
  }

  /**
   * Whether nobody has received anything from a worker that this publisher does not know. A worker that is disconnected from NATS
   * since before this publisher connected cannot announce itself, so that the other workers are asked.
   */
  async #isUnheardOf(about: string): Promise<boolean> {
    const registry = this.#registry;
    // A Workerman worker announces nothing, so that no worker remembers any.
    if (registry.hasListenedForLong || !isWorkerId(about)) return true;
    const { requestTimeoutMs: timeoutMs } = this.#parts;
    const request = { command: "recall-worker", about } as const;
    const answers = await askWorkers({ ...this.#parts, registry, timeoutMs }, { request, schema: recallReply });
    const replies = [...(answers?.replies.values() ?? [])];
    if (replies.some(({ state }) => state === "ended")) registry.ended(about);
    for (const reply of replies) if (reply.state === "here") registry.recalled(about, reply);
    // Where no worker answers, nobody remembers any.
    const hasWitness = replies.some(({ state }) => state === "unknown");
    return hasWitness && answers?.areAllKnown === true && registry.stateOf(about) === "unknown";
  }

  /** Without promises for each of them, which would be most of what a large batch costs. */
  async #publishPlain(requests: readonly PublishRequest[]): Promise<PublishResult[]> {
    const { bus, subjects, metrics } = this.#parts;
    const publications: Publication[] = [];
    for (const request of requests) publications.push(...request.publications);
    const outcomes = await bus.publishAll(publications.map((publication) => encodePublication(subjects, publication)));
    return publications.map((publication, at) => {
      const outcome = outcomes[at]; // there are as many as publications
      const result = outcome?.ok === false ? outcome : PUBLISHED;
      metrics.countPublication(publication, result);
      return result;
    });
  }

  /** `isStored` resolves when what is durable has been stored, or not. */
  #start(request: PublishRequest): { readonly isStored: Promise<unknown>; readonly result: Promise<PublishResult> } {
    const { publications, isDurable, wantsReceipt } = request;
    const receipt = wantsReceipt ? { id: randomUUID(), before: this.#receipts.begin() } : undefined;
    const asked = publications.map((each) => (receipt === undefined ? each : { ...each, receipt: receipt.id }));
    const published = Promise.all(asked.map((publication) => this.#publish(publication, isDurable)));
    return { isStored: published, result: this.#resultOf(publications, published, receipt) };
  }

  async #resultOf(
    publications: readonly Publication[],
    published: Promise<PublishResult[]>,
    receipt: { readonly id: string; readonly before: Before } | undefined,
  ): Promise<PublishResult> {
    const results = await published;
    const result = resultOfAll(results);
    if (receipt === undefined || !result.ok) return result;
    const stored = storedNow(this.#parts.subjects, publications, results);
    return this.#withReceipt(result, () => this.#receipts.gather(receipt.id, stored, receipt.before));
  }

  async #publish(publication: Publication, isDurable: boolean): Promise<PublishResult> {
    const { target } = publication;
    const result = await (target.kind === "connection"
      ? this.#publishAndAsk(publication, target.connection.workerId)
      : isDurable
        ? this.#store({ ...publication, target })
        : this.#publishConfirmed(publication));
    this.#parts.metrics.countPublication(publication, result);
    return result;
  }

  async #withReceipt(accepted: Accepted, gather: () => Promise<Receipt>): Promise<Accepted> {
    switch (accepted.status) {
      case "published":
        return { ...accepted, receipt: await gather() };
      case "stored":
        // A duplicate is not delivered again.
        return accepted.isDuplicate ? accepted : { ...accepted, receipt: await gather() };
      default:
        return { ...accepted, receipt: receiptOfConnection(accepted.status) };
    }
  }

  async #store(publication: Publication & { readonly target: DurableTarget }): Promise<PublishResult> {
    const { history, subjects } = this.#parts;
    const { subject, content, headers } = encodeDurable(subjects, publication);
    const outcome = await history.append(subject, content, headers, publication.id);
    if (!outcome.ok) return { ok: false, reason: outcome.reason, detail: outcome.detail };
    return { ok: true, status: "stored", positions: [outcome.position], isDuplicate: outcome.duplicate };
  }

  async #publishConfirmed(publication: Publication): Promise<PublishResult> {
    const { subject, content, headers } = encodePublication(this.#parts.subjects, publication);
    return resultOf(await this.#parts.bus.publish(subject, content, headers));
  }

  async #publishAndAsk(publication: Publication, workerId: string): Promise<PublishResult> {
    const { bus, subjects, log } = this.#parts;
    const { subject, content, headers } = encodePublication(subjects, publication);
    const outcome = await this.#askWorker(workerId, (timeoutMs) =>
      bus.request(subject, content, { timeoutMs, headers }),
    );
    if (!outcome.ok) return outcome;

    const reply = deliveryReply.safeParse(parseJson(outcome.message));
    if (reply.success) return fromDelivery(reply.data.outcome);
    log.error({ err: reply.error, subject }, "invalid reply from worker");
    return { ok: false, reason: "malformed-reply" };
  }

  async #askAboutConnection(
    command: "find-connection" | "close-connection",
    { workerId, connectionId }: ConnectionAddress,
  ): Promise<ConnectionDescription> {
    const reply = connectionReply.safeParse(parseJson(await this.#ask(workerId, { command, connectionId })));
    if (!reply.success) throw new ApiError("malformed_reply", { cause: reply.error });
    if (reply.data.connection === null) throw new ApiError("connection_not_found");
    return reply.data.connection;
  }
}

const PUBLISHED: PublishResult = { ok: true, status: "published" };

function resultOf(outcome: PublishOutcome): PublishResult {
  return outcome.ok ? PUBLISHED : outcome;
}

type WorkerOutcome =
  | { readonly ok: true; readonly message: BusMessage }
  | { readonly ok: false; readonly reason: PublishRefusal };

const WORKER_TIMEOUT: WorkerOutcome = { ok: false, reason: "worker-timeout" };
const NOT_FOUND: WorkerOutcome = { ok: false, reason: "connection-not-found" };
