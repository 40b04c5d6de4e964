import { setTimeout as delay } from "node:timers/promises";
import type { EnqueueOutcome, WorkQueue } from "@fanwire/bus";
import type { Log } from "@fanwire/service";
import { ByteBlocks } from "./byte-blocks.ts";
import { Deque } from "./core/deque.ts";
import type { Traffic } from "./traffic.ts";

type Item = { readonly subject: string; readonly content: Buffer; readonly number: number };

/** Items handed to JetStream before its answers are awaited. */
const WINDOW_ITEMS = 256;
const WINDOW_BYTES = 4_194_304;
const RETRY_MS = 500;
/** Memory of an item beside its content: measured with a million small ones, rounded up. */
const ITEM_COST = 256;

type ItemStoreParts = {
  /** Unique in the cluster and in time: the items' ids begin with it. */
  readonly serverId: string;
  readonly maxBytes: number;
  readonly traffic: Traffic;
  readonly log: Log;
  /** What was congested is no longer. */
  onFree(): void;
};

/**
 * Hands queue items to JetStream in the order in which they came, and keeps each until it is stored, however long NATS
 * is away. While too much is kept {@link isCongested} stops the reading from peers, so that nothing is dropped.
 */
export class ItemStore {
  readonly #parts: ItemStoreParts;
  readonly #items = new Deque<Item>();
  readonly #blocks = new ByteBlocks();
  /** Items that could not be stored and are tried again, before all others. */
  #retries: Item[] = [];
  #bytes = 0;
  #count = 0;
  #lastSubject = "";
  #queue: WorkQueue | undefined;
  #isRunning = false;
  #isStopped = false;
  /** Somebody was told to wait. */
  #isWaitedFor = false;

  constructor(parts: ItemStoreParts) {
    this.#parts = parts;
  }

  /** Not stored yet. */
  get itemCount(): number {
    return this.#retries.length + this.#items.size;
  }

  /** Memory of the items, not of their content alone. */
  get bytes(): number {
    return this.#bytes;
  }

  get isCongested(): boolean {
    const isCongested = this.#bytes >= this.#parts.maxBytes;
    if (isCongested) this.#isWaitedFor = true;
    return isCongested;
  }

  /** NATS has been reached. */
  arrive(queue: WorkQueue): void {
    this.#queue = queue;
    void this.#run();
  }

  /** Copies `content`. */
  add(subject: string, content: Buffer): void {
    // Items of one queue come together mostly: they share one string.
    if (subject !== this.#lastSubject) this.#lastSubject = subject;
    const item = { subject: this.#lastSubject, content: this.#blocks.copy(content), number: ++this.#count };
    this.#items.push(item);
    this.#bytes += costOf(item);
    void this.#run();
  }

  /** Resolves when everything is stored, or when `signal` aborts: what is not stored then is lost. */
  async stop(signal: AbortSignal): Promise<void> {
    while (this.itemCount > 0 && !signal.aborted) await delay(5);
    this.#isStopped = true;
    this.#parts.traffic.items.lost += this.itemCount;
    if (this.itemCount > 0) this.#parts.log.error({ items: this.itemCount }, "queue items could not be stored");
  }

  async #run(): Promise<void> {
    const queue = this.#queue;
    if (this.#isRunning || queue === undefined) return;
    this.#isRunning = true;
    let failures = 0;
    while (this.itemCount > 0 && !this.#isStopped) {
      await this.#storeWindow(queue, failures === 0);
      this.#sayWhenFree();
      failures = this.#retries.length === 0 ? 0 : failures + 1;
      if (failures > 0) await delay(RETRY_MS, undefined, { ref: false });
    }
    this.#isRunning = false;
  }

  /** Items that have to be tried again stay first in line, in order. */
  async #storeWindow(queue: WorkQueue, isFirstTry: boolean): Promise<void> {
    const { serverId, log } = this.#parts;
    const window = this.#takeWindow();
    this.#retries = window;
    const outcomes = await Promise.all(
      window.map(({ subject, content, number }) => queue.enqueue(subject, content, `${serverId}-${number}`)),
    );
    this.#retries = window.filter((item, at) => !this.#isSettled(item, outcomes[at]));
    const firstFailure = outcomes.find((outcome) => !outcome.ok && outcome.reason === "unavailable");
    if (firstFailure !== undefined && !firstFailure.ok && isFirstTry) {
      const { detail: reason } = firstFailure;
      log.error({ reason, waiting: this.itemCount }, "queue items cannot be stored, kept here");
    }
    if (!isFirstTry && this.#retries.length === 0) log.info("queue items are stored again");
  }

  /** Whether the item is stored, or never will be: it is forgotten then. */
  #isSettled(item: Item, outcome: EnqueueOutcome | undefined): boolean {
    const { traffic, log } = this.#parts;
    if (outcome?.ok) traffic.items.stored++;
    else if (outcome?.reason === "too-large") {
      traffic.items["too-large"]++;
      const fields = { bytes: item.content.length, subject: item.subject, detail: outcome.detail };
      log.error(fields, "a queue item is too large for NATS, dropped");
    } else return false;
    this.#bytes -= costOf(item);
    return true;
  }

  /** The next items in order, of which none is in line any more. */
  #takeWindow(): Item[] {
    if (this.#retries.length > 0) return this.#retries;
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

  #sayWhenFree(): void {
    if (!this.#isWaitedFor || this.#bytes >= this.#parts.maxBytes) return;
    this.#isWaitedFor = false;
    this.#parts.onFree();
  }
}

function costOf({ content }: Item): number {
  return content.length + ITEM_COST;
}
