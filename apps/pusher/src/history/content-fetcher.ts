import { setTimeout as delay } from "node:timers/promises";
import { type BusMessage, type History, storedPlace } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Counters } from "../connections/counters.ts";
import type { Arrivals } from "./arrivals.ts";
import type { QueuedEntry } from "./entry-queue.ts";

const RETRY_MS = 250;
/** Number of times the leader of the history must say that a publication is not stored before it counts as gone. */
const GONE_AFTER = 2;

type FetcherParts = {
  readonly history: Pick<History, "get" | "find">;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly log: Log;
  /** Where fetched content is put. */
  readonly arrivals: Arrivals;
  /** Whether the entry with this sequence still has to be delivered. */
  isDue(sequence: number): boolean;
  /** Content has come, or is known to be gone. */
  onFetched(): void;
};

/** Fetches the content of entries that did not arrive by itself, first from any replica, then from the leader. */
export class ContentFetcher {
  readonly #parts: FetcherParts;
  /** Sequences that are being fetched, each with the life in which that began. */
  readonly #fetching = new Map<number, number>();
  #life = 0;

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /** Number of fetches under way. */
  get fetching(): number {
    return this.#fetching.size;
  }

  /** Counts the lives of the history. Whatever was begun in an earlier one is of no use. */
  get life(): number {
    return this.#life;
  }

  isFetching({ sequence }: QueuedEntry): boolean {
    return this.#fetching.has(sequence);
  }

  /** Sequences mean other publications from now on. Fetches under way end without effect. */
  forget(): void {
    this.#life++;
    this.#fetching.clear();
  }

  /** Fetches until the content is here or gone, or is not needed any more. */
  async fetch(entry: QueuedEntry): Promise<void> {
    const life = this.#life;
    const { sequence, subject } = entry;
    this.#fetching.set(sequence, life);
    try {
      while (!(await this.#read(entry, life))) {
        await delay(RETRY_MS, undefined, { ref: false });
        if (!this.#isWanted(sequence, life)) return;
      }
    } catch (error) {
      this.#parts.log.error({ err: error, subject }, "a durable publication could not be read");
    } finally {
      if (this.#fetching.get(sequence) === life) this.#fetching.delete(sequence);
    }
    this.#parts.onFetched();
  }

  #isWanted(sequence: number, life: number): boolean {
    return life === this.#life && this.#parts.isDue(sequence);
  }

  /** True when the content is here, is known to be gone, or is not needed any more. */
  async #read(entry: QueuedEntry, life: number): Promise<boolean> {
    const { history, counters, subjects } = this.#parts;
    const message = await history.get(entry.sequence);
    const place = message && storedPlace(message, subjects.historyStream);
    if (!this.#isWanted(entry.sequence, life)) return true;
    if (message === undefined || place?.sequence !== entry.sequence) return this.#readFromLeader(entry, life);
    counters.historyFetched++;
    this.#keep(entry, message);
    return true;
  }

  async #readFromLeader(entry: QueuedEntry, life: number): Promise<boolean> {
    const { history, counters } = this.#parts;
    for (let missing = 0; missing < GONE_AFTER; missing++) {
      const found = await history.find(entry.sequence);
      if (!this.#isWanted(entry.sequence, life)) return true;
      if (!found.ok) return false;
      if (found.publication !== undefined) {
        counters.historyFetched++;
        const { content, headers } = found.publication;
        this.#keep(entry, { data: content, headers });
        return true;
      }
      await delay(RETRY_MS, undefined, { ref: false });
    }
    entry.isGone = true;
    return true;
  }

  #keep(entry: QueuedEntry, { data, headers }: Pick<BusMessage, "data" | "headers">): void {
    const { arrivals, subjects } = this.#parts;
    const subject = subjects.liveOf(entry.subject) ?? "";
    // Somebody may have published a message that claims this sequence. It must not stay in the place of the stored one.
    arrivals.drop(entry.sequence);
    arrivals.add(entry.sequence, entry.subject, { subject, data, headers, respond: () => false });
  }
}
