import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage } from "@fanwire/bus";
import { type ReceiptReply, receiptReply, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { encodeRequest, parseJson } from "./control-messages.ts";
import type { Receipt, StoredAt } from "./core/publish.ts";
import type { PublisherMetrics } from "./metrics.ts";
import type { Roll } from "./roll.ts";

/** When all known workers have answered, one that has just started still may. */
const STRANGERS_MS = 20;
/** Workers answer at once: about those that have not by then NATS is asked whether they are there. */
const DOUBT_AFTER_MS = 100;
/** How much of the time workers may wait for what is stored; the rest is for their answers' way. */
const WORKERS_SHARE = 0.8;

type ReceiptsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly roll: Roll;
  /** How long all workers together may take to answer. */
  readonly timeoutMs: number;
  readonly metrics: PublisherMetrics;
  readonly log: Log;
};

/** Asks the workers who got what was published under a receipt's id. */
export class Receipts {
  readonly #parts: ReceiptsParts;

  constructor(parts: ReceiptsParts) {
    this.#parts = parts;
  }

  /** To be called when NATS has the publications: NATS keeps the order, so workers have the live ones when they are asked. */
  async gather(id: string, stored: readonly StoredAt[]): Promise<Receipt> {
    const { roll, timeoutMs } = this.#parts;
    const replies = new Map<string, ReceiptReply>();
    const over = new AbortController();
    let isKnown = false;
    const lacking = () => roll.answering.filter((worker) => !replies.has(worker));
    const check = () => {
      if (isKnown && lacking().length === 0) setTimeout(() => over.abort(), STRANGERS_MS);
    };

    const asking = this.#ask(id, stored, (reply) => {
      replies.set(reply.worker, reply);
      roll.heard(reply.worker);
      check();
    });
    if (asking !== undefined) {
      void roll.isKnown().then((known) => {
        isKnown = known;
        check();
      });
      const doubt = setTimeout(() => void roll.strikeGone(lacking()).then(check), DOUBT_AFTER_MS);
      // Ends early by throwing.
      await delay(timeoutMs, undefined, { signal: over.signal }).catch(() => {});
      clearTimeout(doubt);
      asking.unsubscribe();
      for (const worker of lacking()) roll.notHeard(worker);
    }
    return this.#receiptOf(replies, isKnown);
  }

  #ask(id: string, stored: readonly StoredAt[], onReply: (reply: ReceiptReply) => void) {
    const { bus, subjects, timeoutMs, log } = this.#parts;
    const waitMs = Math.ceil(timeoutMs * WORKERS_SHARE);
    const onMessage = (message: BusMessage) => {
      // NATS' own word that nobody is there.
      if (message.data.length === 0) return;
      const reply = receiptReply.safeParse(parseJson(message));
      if (reply.success) onReply(reply.data);
      else log.warn({ err: reply.error }, "a worker answered in a way nobody understands");
    };
    return bus.gather(
      subjects.allWorkers,
      encodeRequest({ command: "receipt", id, stored: [...stored], waitMs }),
      onMessage,
    );
  }

  #receiptOf(replies: ReadonlyMap<string, ReceiptReply>, isRollKnown: boolean): Receipt {
    const { roll, metrics } = this.#parts;
    const heard = [...replies.values()];
    const missing = new Set([
      ...roll.workers.filter((worker) => !replies.has(worker)),
      ...heard.filter(({ isFinal }) => !isFinal).map(({ worker }) => worker),
    ]).size;
    const isComplete = isRollKnown && missing === 0;
    metrics.countReceipt(isComplete);
    return {
      delivered: heard.reduce((sum, { delivered }) => sum + delivered, 0),
      buffered: heard.reduce((sum, { buffered }) => sum + buffered, 0),
      workers: heard.filter(({ isFinal }) => isFinal).length,
      missing,
      complete: isComplete,
    };
  }
}
