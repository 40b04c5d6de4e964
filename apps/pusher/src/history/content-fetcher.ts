import { setTimeout as delay } from "node:timers/promises";
import { type BusMessage, type History, storedPlace } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { Arrivals } from "./arrivals.ts";
import type { QueuedEntry } from "./entry-queue.ts";

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
  /** Called when content was fetched, or is known to be missing. */
  onFetched(): void;
};

/** Fetches the content of entries that was not republished in time, first from any replica, then from the leader. */
export class ContentFetcher {
  readonly #parts: FetcherParts;
  /** Sequences that are being fetched, each with the generation in which the fetch began. */
  readonly #fetching = new Map<number, number>();
  #generation = 0;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /** Number of fetches under way. */
  get fetching(): number {
    return this.#fetching.size;
  }

  /** Counts how often sequences have changed their meaning. Work of an earlier generation is discarded. */
  get generation(): number {
    return this.#generation;
  }

  isFetching({ sequence }: QueuedEntry): boolean {
    return this.#fetching.has(sequence);
  }

  /** Must be called when sequences mean other publications from now on. Fetches under way end without effect. */
  reset(): void {
    this.#generation++;
    this.#fetching.clear();
  }

  /** Retries until the content was fetched, is known to be missing, or is no longer needed. */
  async fetch(entry: QueuedEntry): Promise<void> {
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
    if (message === undefined || place?.sequence !== entry.sequence) return this.#readFromLeader(entry, generation);
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
        counters.historyFetched++;
        const { content, headers } = found.publication;
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
