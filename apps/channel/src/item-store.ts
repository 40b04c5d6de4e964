import { setTimeout as delay } from "node:timers/promises";
import type { WorkQueue } from "@fanwire/bus";
import type { Log } from "@fanwire/service";
import type { Traffic } from "./traffic.ts";

type Item = { readonly subject: string; readonly content: Uint8Array; readonly id: string };

/** Items handed to JetStream before its answers are awaited. */
const WINDOW_ITEMS = 256;
const WINDOW_BYTES = 4_194_304;
const RETRY_MS = 500;

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
  #items: Item[] = [];
  #bytes = 0;
  #count = 0;
  #queue: WorkQueue | undefined;
  #isRunning = false;
  #isStopped = false;

  constructor(parts: ItemStoreParts) {
    this.#parts = parts;
  }

  /** Not stored yet. */
  get itemCount(): number {
    return this.#items.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isCongested(): boolean {
    return this.#bytes >= this.#parts.maxBytes;
  }

  /** NATS has been reached. */
  arrive(queue: WorkQueue): void {
    this.#queue = queue;
    void this.#run();
  }

  /** `content` is kept as it is: it must be memory of its own. */
  add(subject: string, content: Uint8Array): void {
    this.#items.push({ subject, content, id: `${this.#parts.serverId}-${++this.#count}` });
    this.#bytes += content.length;
    void this.#run();
  }

  /** Resolves when everything is stored, or when `signal` aborts: what is not stored then is lost. */
  async stop(signal: AbortSignal): Promise<void> {
    while (this.#items.length > 0 && !signal.aborted) await delay(5);
    this.#isStopped = true;
    this.#parts.traffic.items.lost += this.#items.length;
    if (this.#items.length > 0) this.#parts.log.error({ items: this.#items.length }, "queue items could not be stored");
  }

  async #run(): Promise<void> {
    const queue = this.#queue;
    if (this.#isRunning || queue === undefined) return;
    this.#isRunning = true;
    let failures = 0;
    while (this.#items.length > 0 && !this.#isStopped) {
      const isStored = await this.#storeWindow(queue, failures === 0);
      if (!this.isCongested) this.#parts.onFree();
      failures = isStored ? 0 : failures + 1;
      if (!isStored) await delay(RETRY_MS, undefined, { ref: false });
    }
    if (failures > 0) this.#parts.log.info("queue items are stored again");
    this.#isRunning = false;
  }

  /** False when some of the window have to be tried again; they stay first in line, in order. */
  async #storeWindow(queue: WorkQueue, isFirstTry: boolean): Promise<boolean> {
    const { traffic, log } = this.#parts;
    const window = this.#firstItems();
    const outcomes = await Promise.all(window.map(({ subject, content, id }) => queue.enqueue(subject, content, id)));
    const left: Item[] = [];
    for (const [at, item] of window.entries()) {
      const outcome = outcomes[at];
      if (outcome?.ok) traffic.items.stored++;
      else if (outcome?.reason === "too-large") {
        traffic.items["too-large"]++;
        log.error(
          { bytes: item.content.length, detail: outcome.detail },
          "a queue item is too large for NATS, dropped",
        );
      } else {
        if (left.length === 0 && isFirstTry) {
          log.error(
            { reason: outcome?.detail, waiting: this.#items.length },
            "queue items cannot be stored, kept here",
          );
        }
        left.push(item);
        continue;
      }
      this.#bytes -= item.content.length;
    }
    this.#items = [...left, ...this.#items.slice(window.length)];
    return left.length === 0;
  }

  #firstItems(): Item[] {
    let bytes = 0;
    let count = 0;
    for (const { content } of this.#items) {
      bytes += content.length;
      if (count > 0 && (count >= WINDOW_ITEMS || bytes > WINDOW_BYTES)) break;
      count++;
    }
    return this.#items.slice(0, count);
  }
}
