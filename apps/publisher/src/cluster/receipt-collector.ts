import type { Bus } from "@fanwire/bus";
import { type ReceiptReply, receiptReply, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type Answers, askWorkers, type WorkersBefore } from "./ask-workers.ts";
import type { ClusterCounters } from "./counters.ts";
import type { Receipt } from "./publish-result.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/**
 * Share of the timeout that workers may wait for stored publications. The rest is for the transport of their answers.
 */
const WORKERS_SHARE = 0.8;

type ReceiptsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  /** Maximum time until the answers of all workers, in milliseconds. */
  readonly timeoutMs: number;
  readonly counters: ClusterCounters;
  readonly log: Log;
};

/** State before a publication. */
export type Before = WorkersBefore & { readonly disconnects: number };

/** Asks all workers to how many connections they delivered the publications of a receipt. */
export class ReceiptCollector {
  readonly #parts: ReceiptsParts;

  constructor(parts: ReceiptsParts) {
    this.#parts = parts;
  }

  /** Must be called before the publications of the receipt are published. */
  begin(): Before {
    const { registry, bus } = this.#parts;
    registry.findEndedOnThisMachine();
    const { workers, endedCount } = registry;
    return { workers: new Set(workers), endedCount, disconnects: bus.traffic().disconnects };
  }

  /**
   * Must be called when NATS has the publications. NATS keeps the order of messages of one connection, so that workers
   * receive the question after the live publications.
   */
  async gather(id: string, stored: readonly string[], before: Before): Promise<Receipt> {
    const { bus, timeoutMs } = this.#parts;
    const waitMs = Math.ceil(timeoutMs * WORKERS_SHARE);
    const answers = await askWorkers(this.#parts, {
      request: { command: "receipt", id, stored: [...stored], waitMs },
      schema: receiptReply,
      before,
    });
    // After a reconnect, the question may have overtaken the publications.
    const isOrdered = bus.traffic().disconnects === before.disconnects;
    return this.#receiptOf(answers, before, isOrdered);
  }

  #receiptOf(answers: Answers<ReceiptReply> | undefined, before: Before, isOrdered: boolean): Receipt {
    const replies = [...(answers?.replies.values() ?? [])];
    // Workers that did not answer, and those that have not delivered everything yet.
    const unfinished = replies.filter(({ isFinal }) => !isFinal).map(({ worker }) => worker);
    const missing = new Set([...(answers?.missing ?? before.workers), ...unfinished]).size;
    const complete = answers?.areAllKnown === true && isOrdered && missing === 0;
    this.#parts.counters.countReceipt(complete);
    return {
      delivered: replies.reduce((sum, { delivered }) => sum + delivered, 0),
      buffered: replies.reduce((sum, { buffered }) => sum + buffered, 0),
      workers: replies.filter(({ isFinal }) => isFinal).length,
      missing,
      complete,
    };
  }
}
