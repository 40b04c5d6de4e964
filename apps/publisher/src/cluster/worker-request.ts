import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage, RequestOutcome } from "@fanwire/bus";
import { type ControlRequest, isWorkerId, recallReply, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { askWorkers } from "./ask-workers.ts";
import type { ChannelServers } from "./channel-servers.ts";
import { encodeRequest } from "./control-codec.ts";
import type { Failure } from "./failure.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/** Delay between two requests to a worker that NATS does not reach. */
const RETRY_DELAY_MS = 50;
/** A caller may know the address of a new worker earlier than a NATS node knows the worker. */
const MAY_BE_NEW_MS = 250;

type WorkerRequestsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  readonly channelServers: ChannelServers;
  readonly requestTimeoutMs: number;
  readonly log: Log;
};

export type WorkerAnswer = { readonly ok: true; readonly message: BusMessage } | Failure;

const WORKER_TIMEOUT: WorkerAnswer = { ok: false, reason: "worker-timeout" };
const NOT_FOUND: WorkerAnswer = { ok: false, reason: "connection-not-found" };

/** Sends requests to one worker at a time, and finds out whether a worker without an answer exists. */
export class WorkerRequests {
  readonly #parts: WorkerRequestsParts;

  constructor(parts: WorkerRequestsParts) {
    this.#parts = parts;
  }

  ask(workerId: string, request: ControlRequest): Promise<WorkerAnswer> {
    const { bus, subjects } = this.#parts;
    return this.send(workerId, (timeoutMs) =>
      bus.request(subjects.worker(workerId), encodeRequest(request), { timeoutMs }),
    );
  }

  /**
   * Calls `request`, and repeats it while NATS does not reach the worker, because the worker may be reconnecting.
   * Returns `connection-not-found` only if the worker has ended, or if all workers are known and none has received
   * anything from it.
   */
  async send(workerId: string, request: (timeoutMs: number) => Promise<RequestOutcome>): Promise<WorkerAnswer> {
    const { registry, requestTimeoutMs } = this.#parts;
    const startedAt = performance.now();
    const leftMs = () => startedAt + requestTimeoutMs - performance.now();
    for (;;) {
      if (registry.stateOf(workerId) === "ended") return NOT_FOUND;
      const outcome = await this.#unlessEnded(workerId, request(Math.max(1, leftMs())));
      if (outcome === undefined) return NOT_FOUND;
      if (outcome.ok) {
        registry.seen(workerId);
        return outcome;
      }
      if (outcome.reason === "timeout") return WORKER_TIMEOUT;
      if (outcome.reason !== "no-responders") return { ok: false, reason: outcome.reason };
      // The request was not received, so that it can be sent again.
      if (await this.#doesNotExist(workerId, performance.now() - startedAt)) return NOT_FOUND;
      if (leftMs() < RETRY_DELAY_MS) return WORKER_TIMEOUT;
      await delay(RETRY_DELAY_MS);
    }
  }

  /**
   * Waits for the outcome of a request. Resolves with undefined if the worker does not exist. NATS does not report that
   * itself while a trace, or any other subscriber, receives the subject.
   */
  async #unlessEnded(workerId: string, request: Promise<RequestOutcome>): Promise<RequestOutcome | undefined> {
    const answered = new AbortController();
    try {
      return await Promise.race([request, this.#askUntilEnded(workerId, request, answered.signal)]);
    } finally {
      answered.abort();
    }
  }

  /** Resolves with undefined when the worker does not exist, and with the outcome of the request if it is reached. */
  async #askUntilEnded(
    workerId: string,
    request: Promise<RequestOutcome>,
    signal: AbortSignal,
  ): Promise<RequestOutcome | undefined> {
    const { bus, subjects } = this.#parts;
    const startedAt = performance.now();
    const isPending = async () =>
      (await Promise.race([request, delay(MAY_BE_NEW_MS, undefined, { signal })])) === undefined;
    while (isWorkerId(workerId) && (await isPending())) {
      const ping = encodeRequest({ command: "has-ended", process: "" });
      const answer = await bus.request(subjects.worker(workerId), ping, { timeoutMs: MAY_BE_NEW_MS });
      const isReached = answer.ok || answer.reason !== "no-responders";
      if (isReached) break;
      if (await this.#doesNotExist(workerId, performance.now() - startedAt)) return undefined;
    }
    return request;
  }

  async #doesNotExist(workerId: string, triedForMs: number): Promise<boolean> {
    const { registry, requestTimeoutMs } = this.#parts;
    // The next try sees an answer that arrives later.
    if (registry.stateOf(workerId) === "known") await registry.findEnded([workerId], RETRY_DELAY_MS);
    const mayBeNew = triedForMs < Math.min(MAY_BE_NEW_MS, requestTimeoutMs / 2);
    const isUnknown = registry.stateOf(workerId) === "unknown" && registry.isSettled && !mayBeNew;
    if (isUnknown && (await this.#isUnknownToAll(workerId))) return true;
    return registry.stateOf(workerId) === "ended";
  }

  /**
   * Whether no worker has received anything from a worker that this publisher does not know. The other workers are
   * asked, because a worker cannot announce itself if it has been disconnected from NATS since before this publisher
   * connected.
   */
  async #isUnknownToAll(about: string): Promise<boolean> {
    const { registry, channelServers, requestTimeoutMs: timeoutMs } = this.#parts;
    // A Workerman worker announces nothing. A channel server that is there would have received the request.
    if (!isWorkerId(about)) return !(await channelServers.mayOneBeAway());
    if (registry.hasListenedForLong) return true;
    const request = { command: "recall-worker", about } as const;
    const answers = await askWorkers({ ...this.#parts, timeoutMs }, { request, schema: recallReply });
    const replies = [...(answers?.replies.values() ?? [])];
    if (replies.some(({ state }) => state === "ended")) registry.ended(about);
    for (const reply of replies) if (reply.state === "here") registry.recalled(about, reply);
    // Without such an answer, nothing shows that the worker does not exist.
    const isUnknownToAnother = replies.some(({ state }) => state === "unknown");
    return isUnknownToAnother && answers?.areAllKnown === true && registry.stateOf(about) === "unknown";
  }
}
