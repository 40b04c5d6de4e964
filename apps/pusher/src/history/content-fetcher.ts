import { setTimeout as delay } from "node:timers/promises";
import { type BusMessage, type History, storedPlace } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { Arrivals } from "./arrivals.ts";
import type { QueuedEntry } from "./entry-queue.ts";

/** Content that may have been published before NATS knew of the subscription is fetched after this time. */
export const FRESH_CONTENT_MS = 20;
/** Maximum number of fetches at a time. Live publications wait behind their answers on the connection to NATS. */
const MAX_FETCHES = 64;
const MAX_FETCHED_BYTES = 1_048_576;
const RETRY_MS = 250;
/** Number of times that the leader must report a publication as not stored before it counts as missing. */
const MISSING_AFTER = 2;

type FetcherParts = {
  readonly history: Pick<History, "get" | "find">;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly log: Log;
  /** Where fetched content is put. */
  readonly arrivals: Arrivals;
  /** Whether the entry with this sequence still has to be delivered. */
  isDue(sequence: number): boolean;
  /** Called when content was fetched, is known to be missing, or has to be fetched again. */
  onFetched(): void;
};

/** Fetches the content of entries that was not republished in time, first from any replica, then from the leader. */
export class ContentFetcher {
  readonly #parts: FetcherParts;
  /** Sequences that are being fetched, each with the generation in which the fetch began. */
  readonly #fetching = new Map<number, number>();
  /** Increases when the history is recreated or restored. Work of an earlier generation is discarded. */
  #generation = 0;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /** Must be called when the history is recreated or restored, because sequences then identify other publications. */
  reset(): void {
    this.#generation++;
    this.#fetching.clear();
  }

  /**
   * Fetches the content of the first entry, and of later ones whose content is late too and that `isNeeded` accepts.
   * Content up to the sequence `storedBefore` may have been republished before this worker could receive it.
   */
  fetchAhead(entries: Iterable<QueuedEntry>, storedBefore: number, isNeeded: (entry: QueuedEntry) => boolean): void {
    const queuedBefore = performance.now() - FRESH_CONTENT_MS;
    let isFirst = true;
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.bytes;
      if (!isFirst && (this.#fetching.size >= MAX_FETCHES || bytes > MAX_FETCHED_BYTES)) return;
      const isLate = isFirst || entry.sequence <= storedBefore || entry.queuedAt < queuedBefore;
      if (isLate && this.#lacks(entry) && (isFirst || isNeeded(entry))) void this.#fetch(entry);
      isFirst = false;
    }
  }

  #lacks({ sequence, isMissing }: QueuedEntry): boolean {
    return !isMissing && !this.#parts.arrivals.has(sequence) && !this.#fetching.has(sequence);
  }

  /** Retries until the content was fetched, is known to be missing, or is no longer needed. */
  async #fetch(entry: QueuedEntry): Promise<void> {
    const generation = this.#generation;
    const { sequence, subject } = entry;
    this.#fetching.set(sequence, generation);
    try {
      while (!(await this.#read(entry, generation))) {
        await delay(RETRY_MS, undefined, { ref: false });
        if (!this.#isWanted(sequence, generation)) return;
      }
    } catch (error) {
      this.#parts.log.error({ err: error, subject }, "durable publication not fetched");
    } finally {
      if (this.#fetching.get(sequence) === generation) this.#fetching.delete(sequence);
    }
    this.#parts.onFetched();
  }

  #isWanted(sequence: number, generation: number): boolean {
    return generation === this.#generation && this.#parts.isDue(sequence);
  }

  /** Returns false if another attempt is needed. */
  async #read(entry: QueuedEntry, generation: number): Promise<boolean> {
    const { history, counters, subjects } = this.#parts;
    const message = await history.get(entry.sequence);
    const place = message && storedPlace(message, subjects.historyStream);
    if (!this.#isWanted(entry.sequence, generation)) return true;
    if (message === undefined || place?.sequence !== entry.sequence || !isOf(entry, place.subject, message.data)) {
      return this.#readFromLeader(entry, generation);
    }
    counters.historyFetched++;
    this.#keep(entry, message);
    return true;
  }

  async #readFromLeader(entry: QueuedEntry, generation: number): Promise<boolean> {
    const { history, counters } = this.#parts;
    for (let missing = 0; missing < MISSING_AFTER; missing++) {
      const found = await history.find(entry.sequence);
      if (!this.#isWanted(entry.sequence, generation)) return true;
      if (!found.ok) return false;
      if (found.publication !== undefined) {
        const { subject, content, headers } = found.publication;
        if (!isOf(entry, subject, content)) {
          // The next fetch is for the entry that waits then, which may be another one with this sequence.
          await delay(RETRY_MS, undefined, { ref: false });
          return true;
        }
        counters.historyFetched++;
        this.#keep(entry, { data: content, headers });
        return true;
      }
      await delay(RETRY_MS, undefined, { ref: false });
    }
    entry.isMissing = true;
    return true;
  }

  #keep(entry: QueuedEntry, { data, headers }: Pick<BusMessage, "data" | "headers">): void {
    const { arrivals, subjects } = this.#parts;
    const subject = subjects.liveOf(entry.subject) ?? "";
    // A forged message may claim this sequence. The stored one replaces it.
    arrivals.drop(entry.sequence);
    arrivals.add(entry.sequence, entry.subject, { subject, data, headers, respond: () => false });
  }
}

/**
 * Whether a stored publication is that of an entry. A history that was recreated, or has lost its end, may hold another
 * one with the same sequence.
 */
function isOf(entry: QueuedEntry, subject: string, content: Uint8Array): boolean {
  return subject === entry.subject && content.length === entry.bytes;
}
