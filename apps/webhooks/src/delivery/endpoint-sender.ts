import type { ClusterEvent } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { DeliveryCounts } from "../counters.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Poster, PostOutcome } from "./post.ts";
import { type Batch, type Item, RetryQueues } from "./retry-queues.ts";

/**
 * Maximum concurrent POSTs to one endpoint. Retries have as many of their own, so that neither kind delays the other.
 */
const MAX_FRESH_POSTS = 5;
const MAX_RETRIES = 3;
export const MAX_POSTS = MAX_FRESH_POSTS + MAX_RETRIES;
const RETRY_CHECK_MS = 200;
const MAX_WAITING = 10_000;
/** An endpoint that is down refuses thousands of requests. */
const WARN_EVERY_MS = 5_000;
const MAX_WAITING_BYTES = 16_777_216;

/** Where an endpoint is in the stored events. */
export type Progress = {
  /** Sequence up to which events were accepted. */
  readonly cursor: number;
  /** Accepted events that are not delivered yet. */
  readonly waiting: readonly number[];
};

type EndpointSenderParts = {
  readonly endpoint: Endpoint;
  /** Posts to this endpoint alone, and ends with this sender. */
  readonly poster: Poster;
  readonly counts: DeliveryCounts;
  readonly log: Log;
  /** Whether this process may send. */
  isLeading(): boolean;
  /** Called with an event that was refused for too long. */
  onDead(endpoint: Endpoint, item: Item, reason: string): void;
  /** Called when there is room for more events. */
  onRoom(): void;
};

/** Delivers events to one endpoint. */
export class EndpointSender {
  readonly endpoint: Endpoint;
  readonly #parts: EndpointSenderParts;
  readonly #queues = new RetryQueues();
  readonly #timer: NodeJS.Timeout;
  #cursor: number;
  #freshPosts = 0;
  #retries = 0;
  #isStopped = false;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #hasChanged = true;
  #onIdle: () => void = () => {};

  constructor(cursor: number, parts: EndpointSenderParts) {
    this.#cursor = cursor;
    this.endpoint = parts.endpoint;
    this.#parts = parts;
    this.#timer = setInterval(() => this.#send(), RETRY_CHECK_MS);
  }

  get cursor(): number {
    return this.#cursor;
  }

  get waiting(): number {
    return this.#queues.size;
  }

  get waitingBytes(): number {
    return this.#queues.bytes;
  }

  /** Milliseconds since 1970. */
  get oldestAt(): number | undefined {
    return this.#queues.oldestAt;
  }

  get hasRoom(): boolean {
    return this.#queues.size < MAX_WAITING && this.#queues.bytes < MAX_WAITING_BYTES;
  }

  /** Returns the progress if it has changed since the last call. */
  takeProgress(): Progress | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    return { cursor: this.#cursor, waiting: this.#queues.sequences };
  }

  /** Must be called with each stored event in order; undefined for one that is no event any longer. */
  accept(sequence: number, event: ClusterEvent | undefined): void {
    this.#cursor = sequence;
    this.restore(sequence, event);
  }

  /** Accepts an event before the cursor again. */
  restore(sequence: number, event: ClusterEvent | undefined): void {
    this.#hasChanged = true;
    const entry = event && this.endpoint.select(event);
    if (event === undefined || entry === undefined) return;
    const key = event.topic ?? event.connection ?? "";
    this.#queues.add({ sequence, key, entry, acceptedAt: Date.now() });
    // Events of one tick share a POST.
    setImmediate(() => this.#send());
  }

  /** Starts no further POST. Resolves when those in flight are over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    const hasPosts = this.#freshPosts + this.#retries > 0;
    if (hasPosts) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    this.#parts.poster.stop();
  }

  #send(): void {
    const { batch } = this.endpoint;
    const { isLeading } = this.#parts;
    while (!this.#isStopped && this.#freshPosts < MAX_FRESH_POSTS && isLeading()) {
      const fresh = this.#queues.takeFresh(batch);
      if (fresh === undefined) break;
      this.#freshPosts++;
      void this.#post(fresh).then(() => this.#freshPosts--);
    }
    while (!this.#isStopped && this.#retries < MAX_RETRIES && isLeading()) {
      const refused = this.#queues.takeRefused(batch, Date.now());
      if (refused === undefined) break;
      this.#retries++;
      void this.#post(refused).then(() => this.#retries--);
    }
  }

  async #post(batch: Batch): Promise<void> {
    const { endpoint, poster } = this.#parts;
    const entries = batch.items.map(({ entry }) => entry);
    const createdAt = batch.items[0]?.acceptedAt ?? Date.now();
    const outcome = await poster.post(endpoint.encode(entries, createdAt));
    this.#hasChanged = true;
    this.#settle(batch, outcome);
    setImmediate(() => {
      if (this.#freshPosts + this.#retries === 0) this.#onIdle();
      if (this.hasRoom) this.#parts.onRoom();
      this.#send();
    });
  }

  #settle(batch: Batch, outcome: PostOutcome): void {
    const { endpoint, counts, log, onDead } = this.#parts;
    if (outcome.ok) {
      counts.delivered += batch.items.length;
      this.#queues.delivered(batch);
      return;
    }
    counts.failed++;
    const { reason } = outcome;
    if (performance.now() - this.#warnedAt > WARN_EVERY_MS) {
      this.#warnedAt = performance.now();
      log.warn({ endpoint: endpoint.label, refused: counts.failed, reason }, "webhook refused");
    }
    for (const item of this.#queues.refused(batch, Date.now())) {
      counts.dead++;
      onDead(endpoint, item, reason);
    }
  }
}
