import { randomUUID } from "node:crypto";
import type { Bus, BusMessage, History, PublishOutcome, RequestFailure } from "@fanwire/bus";
import {
  type ConnectionAddress,
  type ConnectionDescription,
  type ControlRequest,
  connectionReply,
  type DurableTarget,
  deliveryReply,
  followersReply,
  followReply,
  type Publication,
  type Subjects,
  userReply,
  type WorkerDescription,
  workerDescription,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { encodeRequest, parseJson } from "./control-messages.ts";
import {
  type Accepted,
  encodeDurable,
  encodePublication,
  fromDelivery,
  type PublishRefusal,
  type PublishRequest,
  type PublishResult,
  receiptOfConnection,
  resultOfAll,
  runsOf,
  type StoredAt,
  storedNow,
} from "./core/publish.ts";
import { ApiError, refusalCodes } from "./errors.ts";
import type { PublisherMetrics } from "./metrics.ts";
import { Receipts } from "./receipts.ts";
import { Roll } from "./roll.ts";

/** Workers answer at once: when none did for so long, all have. */
const GATHER_STALL_MS = 250;
const GATHER_MAX_WAIT_MS = 2_000;

/** What can be asked of every worker about a user. */
type UserRequest = Extract<ControlRequest, { user: string }>;

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
  readonly #receipts: Receipts;

  constructor(parts: ClusterParts) {
    this.#parts = parts;
    const roll = new Roll({ ...parts, timeoutMs: parts.receiptTimeoutMs, call: () => this.describeWorkers() });
    this.#receipts = new Receipts({ ...parts, roll, timeoutMs: parts.receiptTimeoutMs });
  }

  /** Publishes; to a connection, with its worker's word about it. */
  async publish({ publications, isDurable, wantsReceipt }: PublishRequest): Promise<PublishResult> {
    const receiptId = wantsReceipt ? randomUUID() : undefined;
    const asked = publications.map((each) => (receiptId === undefined ? each : { ...each, receipt: receiptId }));
    const results = await Promise.all(asked.map((publication) => this.#publish(publication, isDurable)));
    const result = resultOfAll(results);
    if (receiptId === undefined || !result.ok) return result;
    return this.#withReceipt(receiptId, result, storedNow(this.#parts.subjects, publications, results));
  }

  /** Publishes a batch: one result for each request. NATS gets them in their order. */
  async publishAll(requests: readonly PublishRequest[]): Promise<PublishResult[]> {
    // One turn hands all of them over, so that their order is the order on the wire.
    const results = await Promise.all(
      runsOf(requests).map((run) =>
        run.isPlain
          ? this.#publishPlain(run.requests)
          : Promise.all(run.requests.map((request) => this.publish(request))),
      ),
    );
    return results.flat();
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

  /** Every worker that answers, by id. */
  async describeWorkers(): Promise<WorkerDescription[]> {
    const workers = await this.#askAll({ command: "describe" }, workerDescription);
    return workers.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** @throws ApiError when the worker does not answer. */
  async follow(
    command: "follow" | "unfollow",
    { workerId, connectionId }: ConnectionAddress,
    topic: string,
  ): Promise<"done" | "topic-limit" | "gone"> {
    const reply = followReply.safeParse(parseJson(await this.#ask(workerId, { command, connectionId, topic })));
    if (!reply.success) throw new ApiError("malformed_reply", { cause: reply.error });
    return reply.data.outcome;
  }

  /** The user's connections on all workers that answer: as they were before they were closed or followed something. */
  async askAboutUser(request: UserRequest): Promise<z.output<typeof userReply>> {
    const replies = await this.#askAll(request, userReply);
    return {
      count: replies.reduce((sum, { count }) => sum + count, 0),
      connections: replies.flatMap(({ connections }) => connections),
    };
  }

  /** Connections on all workers that answer which a publication to the topic reaches. */
  async countFollowers(topic: string): Promise<number> {
    const replies = await this.#askAll({ command: "count-followers", topic }, followersReply);
    return replies.reduce((sum, { connections }) => sum + connections, 0);
  }

  async #askAll<Schema extends z.ZodType>(request: ControlRequest, schema: Schema): Promise<z.output<Schema>[]> {
    const { bus, subjects, log } = this.#parts;
    const outcome = await bus.requestMany(subjects.allWorkers, encodeRequest(request), {
      stallMs: GATHER_STALL_MS,
      maxWaitMs: GATHER_MAX_WAIT_MS,
    });
    if (!outcome.ok) throw new ApiError(refusalCodes[outcome.reason]);

    return outcome.messages.flatMap((message) => {
      const reply = schema.safeParse(parseJson(message));
      // One that is misunderstood, perhaps of another version, must not hide the others.
      if (!reply.success) log.warn({ err: reply.error }, "a worker answered in a way nobody understands");
      return reply.success ? [reply.data] : [];
    });
  }

  /** @throws ApiError when the worker does not answer. */
  async #ask(workerId: string, request: ControlRequest): Promise<BusMessage> {
    const { bus, subjects, requestTimeoutMs: timeoutMs } = this.#parts;
    const outcome = await bus.request(subjects.worker(workerId), encodeRequest(request), { timeoutMs });
    if (!outcome.ok) throw new ApiError(refusalCodes[refusal(outcome.reason)]);
    return outcome.message;
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

  async #publish(publication: Publication, isDurable: boolean): Promise<PublishResult> {
    const { target } = publication;
    const result = await (target.kind === "connection"
      ? this.#publishAndAsk(publication)
      : isDurable
        ? this.#store({ ...publication, target })
        : this.#publishConfirmed(publication));
    this.#parts.metrics.countPublication(publication, result);
    return result;
  }

  async #withReceipt(id: string, accepted: Accepted, stored: readonly StoredAt[]): Promise<Accepted> {
    switch (accepted.status) {
      case "published":
        return { ...accepted, receipt: await this.#receipts.gather(id, stored) };
      case "stored":
        // Of what had been stored before nothing was sent again.
        return accepted.isDuplicate ? accepted : { ...accepted, receipt: await this.#receipts.gather(id, stored) };
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

  async #publishAndAsk(publication: Publication): Promise<PublishResult> {
    const { bus, subjects, requestTimeoutMs, log } = this.#parts;
    const { subject, content, headers } = encodePublication(subjects, publication);
    const outcome = await bus.request(subject, content, { timeoutMs: requestTimeoutMs, headers });
    if (!outcome.ok) return { ok: false, reason: refusal(outcome.reason) };

    const reply = deliveryReply.safeParse(parseJson(outcome.message));
    if (reply.success) return fromDelivery(reply.data.outcome);
    log.error({ err: reply.error, subject }, "a worker answered a publication in a way nobody understands");
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

function refusal(reason: RequestFailure): PublishRefusal {
  switch (reason) {
    case "no-responders":
      return "connection-not-found";
    case "timeout":
      return "worker-timeout";
    default:
      return reason;
  }
}
