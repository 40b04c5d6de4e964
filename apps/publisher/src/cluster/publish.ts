import { randomUUID } from "node:crypto";
import { setImmediate as nextTick } from "node:timers/promises";
import { type Bus, type History, parseJson } from "@fanwire/bus";
import { type DurableTarget, deliveryReply, type Publication, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { ClusterCounters } from "./counters.ts";
import { encodeDurable, encodePublication } from "./encode-publication.ts";
import { type PublishRequest, portionsOf, type Run, runsOf } from "./publish-request.ts";
import {
  type Accepted,
  fromDelivery,
  PUBLISHED,
  type PublishResult,
  type Receipt,
  receiptOfConnection,
  resultOfAll,
  storedPositions,
} from "./publish-result.ts";
import type { Before, ReceiptCollector } from "./receipt-collector.ts";
import type { WorkerRequests } from "./worker-request.ts";

type ClusterPublisherParts = {
  readonly bus: Bus;
  readonly history: Pick<History, "append">;
  readonly subjects: Subjects;
  readonly workers: WorkerRequests;
  readonly receipts: ReceiptCollector;
  readonly counters: ClusterCounters;
  readonly log: Log;
};

/** `isStored` resolves once the history has stored, or failed to store, the durable publications. */
type Started<Result> = { readonly isStored: Promise<unknown>; readonly result: Promise<Result> };

/** Publishes to the cluster over NATS. */
export class ClusterPublisher {
  readonly #parts: ClusterPublisherParts;

  constructor(parts: ClusterPublisherParts) {
    this.#parts = parts;
  }

  /** Maximum content plus headers of a publication, in bytes; 0 before the first connection to NATS. */
  get maxBytes(): number {
    return this.#parts.bus.maxPayloadBytes();
  }

  /** Publishes one request. For a target connection, the result is its worker's report. */
  publish(request: PublishRequest): Promise<PublishResult> {
    return this.#start(request).result;
  }

  /** Publishes a batch in order, over several ticks if it is large. Returns one result for each request. */
  async publishAll(requests: readonly PublishRequest[]): Promise<PublishResult[]> {
    const results: Promise<PublishResult[]>[] = [];
    let isStored: Promise<unknown> = Promise.resolve();
    for (const [index, portion] of portionsOf(requests).entries()) {
      if (index > 0) await nextTick();
      for (const run of runsOf(portion)) {
        // Live publications would overtake durable ones that are not stored yet.
        if (run.kind !== "durable") await isStored;
        const started = this.#startRun(run);
        // Prevents an unhandled rejection, because `result` is awaited only after the other runs.
        started.result.catch(() => {});
        results.push(started.result);
        if (run.kind === "durable") isStored = Promise.all([isStored, started.isStored]);
      }
    }
    return (await Promise.all(results)).flat();
  }

  /** Publishes without asking the worker of a target connection, as the classic route requires. */
  async publishUnchecked(publication: Publication): Promise<PublishResult> {
    const result = await this.#publishConfirmed(publication);
    this.#parts.counters.countPublication(publication, result);
    return result;
  }

  /** Creates no promise for each publication, because promises would be most of the cost of a large batch. */
  async #publishPlain(requests: readonly PublishRequest[]): Promise<PublishResult[]> {
    const { bus, subjects, counters } = this.#parts;
    const publications: Publication[] = [];
    for (const request of requests) publications.push(...request.publications);
    const outcomes = await bus.publishAll(publications.map((publication) => encodePublication(subjects, publication)));
    return publications.map((publication, at) => {
      const outcome = outcomes[at]; // there are as many as publications
      const result = outcome?.ok === false ? outcome : PUBLISHED;
      counters.countPublication(publication, result);
      return result;
    });
  }

  /** Hands all of a run to NATS in one tick, so that their order is the order on the wire. */
  #startRun({ kind, requests }: Run): Started<PublishResult[]> {
    if (kind === "plain") return { isStored: Promise.resolve(), result: this.#publishPlain(requests) };
    const started = requests.map((request) => this.#start(request));
    return {
      isStored: Promise.allSettled(started.map(({ isStored }) => isStored)),
      result: Promise.all(started.map(({ result }) => result)),
    };
  }

  #start(request: PublishRequest): Started<PublishResult> {
    const { publications, isDurable, wantsReceipt } = request;
    const receipt = wantsReceipt ? { id: randomUUID(), before: this.#parts.receipts.begin() } : undefined;
    const asked = publications.map((each) => (receipt === undefined ? each : { ...each, receipt: receipt.id }));
    const published = Promise.all(asked.map((publication) => this.#publish(publication, isDurable)));
    return { isStored: published, result: this.#resultOf(published, receipt) };
  }

  async #resultOf(
    published: Promise<PublishResult[]>,
    receipt: { readonly id: string; readonly before: Before } | undefined,
  ): Promise<PublishResult> {
    const results = await published;
    const result = resultOfAll(results);
    if (receipt === undefined || !result.ok) return result;
    const stored = storedPositions(results);
    return this.#withReceipt(result, () => this.#parts.receipts.gather(receipt.id, stored, receipt.before));
  }

  async #publish(publication: Publication, isDurable: boolean): Promise<PublishResult> {
    const { target } = publication;
    const result = await (target.kind === "connection"
      ? this.#publishAndAsk(publication, target.connection.workerId)
      : isDurable
        ? this.#store({ ...publication, target })
        : this.#publishConfirmed(publication));
    this.#parts.counters.countPublication(publication, result);
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
    if (!outcome.ok) return outcome;
    return { ok: true, status: "stored", positions: [outcome.position], isDuplicate: outcome.duplicate };
  }

  async #publishConfirmed(publication: Publication): Promise<PublishResult> {
    const { subject, content, headers } = encodePublication(this.#parts.subjects, publication);
    const outcome = await this.#parts.bus.publish(subject, content, headers);
    return outcome.ok ? PUBLISHED : outcome;
  }

  async #publishAndAsk(publication: Publication, workerId: string): Promise<PublishResult> {
    const { bus, subjects, workers, log } = this.#parts;
    const { subject, content, headers } = encodePublication(subjects, publication);
    const answer = await workers.send(workerId, (timeoutMs) => bus.request(subject, content, { timeoutMs, headers }));
    if (!answer.ok) return answer;

    const reply = deliveryReply.safeParse(parseJson(answer.message));
    if (reply.success) return fromDelivery(reply.data.outcome);
    log.error({ err: reply.error, subject }, "invalid reply from worker");
    return { ok: false, reason: "malformed-reply" };
  }
}
