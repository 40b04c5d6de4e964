import { setTimeout as delay } from "node:timers/promises";
import type { EnqueueOutcome, WorkQueue } from "@fanwire/bus";
import type { Log } from "@fanwire/service";
import { ByteBlocks } from "../data/byte-blocks.ts";
import { Deque } from "../data/deque.ts";
import type { Counters } from "./counters.ts";

type Item = { readonly subject: string; readonly content: Buffer; readonly number: number };

/** Maximum items published to JetStream before its acknowledgements are awaited. */
const WINDOW_ITEMS = 256;
const WINDOW_BYTES = 4_194_304;
const RETRY_MS = 500;
/** Memory in bytes of an item beside its content, measured with a million small items and rounded up. */
const ITEM_COST = 256;

type PendingItemsParts = {
  /** Prefix of the items' ids. It must be unique in the cluster and differ after each start. */
  readonly serverId: string;
  readonly maxBytes: number;
  readonly counters: Counters;
  readonly log: Log;
  /** Called when the items are no longer congested. */
  onFree(): void;
};

/**
 * Stores queue items in JetStream in order of arrival, and buffers each item until it is acknowledged, even while NATS
 * is unavailable. When the buffer is full, {@link isCongested} pauses reading from peers, so that no item is dropped.
 */
export class PendingItems {
  readonly #parts: PendingItemsParts;
  readonly #items = new Deque<Item>();
  readonly #blocks = new ByteBlocks();
  /** Items that were published and are not acknowledged. They are retried before all others. */
  #unconfirmed: Item[] = [];
  #bytes = 0;
  #count = 0;
  #lastSubject = "";
  #queue: WorkQueue | undefined;
  #isRunning = false;
  #isStopped = false;
  /** Whether a caller has seen the items congested. */
  #isWaitedFor = false;

  constructor(parts: PendingItemsParts) {
    this.#parts = parts;
  }

  /** Number of items that are not stored yet. */
  get itemCount(): number {
    return this.#unconfirmed.length + this.#items.size;
  }

  /** Memory of the items in bytes, including bookkeeping. */
  get bytes(): number {
    return this.#bytes;
  }

  get isCongested(): boolean {
    const isCongested = this.#bytes >= this.#parts.maxBytes;
    if (isCongested) this.#isWaitedFor = true;
    return isCongested;
  }

  /** Must be called when NATS is connected for the first time. */
  start(queue: WorkQueue): void {
    this.#queue = queue;
    void this.#run();
  }

  /** Adds an item and copies its content. */
  add(subject: string, content: Buffer): void {
    // Consecutive items mostly belong to one queue, so they share one subject string.
    if (subject !== this.#lastSubject) this.#lastSubject = subject;
    const item = { subject: this.#lastSubject, content: this.#blocks.copy(content), number: ++this.#count };
    this.#items.push(item);
    this.#bytes += costOf(item);
    void this.#run();
  }

  /**
   * Resolves when all items are stored, or when `signal` aborts. Items that were not published by then are lost. Those
   * that JetStream has not acknowledged may be stored or lost.
   */
  async stop(signal: AbortSignal): Promise<void> {
    while (this.itemCount > 0 && !signal.aborted) await delay(5);
    this.#isStopped = true;
    const { counters, log } = this.#parts;
    const lost = this.#items.size;
    const unconfirmed = this.#unconfirmed.length;
    counters.items.lost += lost;
    counters.items.unconfirmed += unconfirmed;
    if (lost > 0) log.error({ items: lost }, "queue items lost at stop");
    if (unconfirmed > 0) log.error({ items: unconfirmed }, "queue items unconfirmed at stop: stored or lost");
  }

  async #run(): Promise<void> {
    const queue = this.#queue;
    if (this.#isRunning || queue === undefined) return;
    this.#isRunning = true;
    let failures = 0;
    while (this.itemCount > 0 && !this.#isStopped) {
      await this.#storeWindow(queue, failures === 0);
      this.#notifyWhenFree();
      failures = this.#unconfirmed.length === 0 ? 0 : failures + 1;
      if (failures > 0) await delay(RETRY_MS, undefined, { ref: false });
    }
    this.#isRunning = false;
  }

  /** Stores the next items. Failed items stay first in line, in order. */
  async #storeWindow(queue: WorkQueue, isFirstTry: boolean): Promise<void> {
    const { serverId, log } = this.#parts;
    const window = this.#takeWindow();
    this.#unconfirmed = window;
    const outcomes = await Promise.all(
      window.map(({ subject, content, number }) => queue.enqueue(subject, content, `${serverId}-${number}`)),
    );
    // At the stop they were counted as unconfirmed.
    if (this.#isStopped) return;
    this.#unconfirmed = window.filter((item, at) => !this.#isFinished(item, outcomes[at]));
    const firstFailure = outcomes.find((outcome) => !outcome.ok && outcome.reason === "unavailable");
    if (firstFailure !== undefined && !firstFailure.ok && isFirstTry) {
      const { detail: reason } = firstFailure;
      log.error({ reason, waiting: this.itemCount }, "queue items not stored, retrying");
    }
    if (!isFirstTry && this.#unconfirmed.length === 0) log.info("queue items stored again");
  }

  /** Returns whether the item needs no retry, because it is stored or too large. */
  #isFinished(item: Item, outcome: EnqueueOutcome | undefined): boolean {
    const { counters, log } = this.#parts;
    if (outcome?.ok) counters.items.stored++;
    else if (outcome?.reason === "too-large") {
      counters.items["too-large"]++;
      const fields = { bytes: item.content.length, subject: item.subject, detail: outcome.detail };
      log.error(fields, "queue item too large for NATS, dropped");
    } else return false;
    this.#bytes -= costOf(item);
    return true;
  }

  /** Removes and returns the next items in order. */
  #takeWindow(): Item[] {
    if (this.#unconfirmed.length > 0) return this.#unconfirmed;
    const window: Item[] = [];
    let bytes = 0;
    for (let item = this.#items.first; item !== undefined; item = this.#items.first) {
      bytes += item.content.length;
      if (window.length > 0 && (window.length >= WINDOW_ITEMS || bytes > WINDOW_BYTES)) break;
      window.push(item);
      this.#items.shift();
    }
    return window;
  }

  #notifyWhenFree(): void {
    if (!this.#isWaitedFor || this.#bytes >= this.#parts.maxBytes) return;
    this.#isWaitedFor = false;
    this.#parts.onFree();
  }
}

function costOf({ content }: Item): number {
  return content.length + ITEM_COST;
}
