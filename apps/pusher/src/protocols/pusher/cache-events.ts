import { setTimeout as delay } from "node:timers/promises";
import { CoalescedRequest, type History, type StoredPublication } from "@fanwire/bus";
import { formatPosition, type Subjects } from "@fanwire/protocol";
import { CACHE_SECONDS } from "@fanwire/pusher-protocol";

/**
 * Time within which a history that cannot be read is read again. Meanwhile the client waits for the answer to its
 * subscription.
 */
const READ_WITHIN_MS = 5_000;
const FIRST_RETRY_MS = 50;

type CachedEvent = {
  readonly publication: StoredPublication;
  /** Position before it. A replay from here begins with it. Undefined while this worker has not read the history. */
  readonly since: string | undefined;
};

/** `none`: there is none, or it is too old. `unreadable`: whether there is one is unknown. */
export type CacheState = CachedEvent | "none" | "unreadable";

type CacheParts = {
  readonly history: History;
  readonly subjects: Subjects;
  /** Epoch of the history as this worker has processed it. */
  epoch(): string | undefined;
};

type Read = CacheState | "no-jetstream";

/** The last published events of cache channels: the last durable publications of their topics. */
export class CacheEvents {
  readonly #parts: CacheParts;
  /** Reads by topic, and how many wait for them. Thousands of clients may subscribe to one channel at the same time. */
  readonly #reading = new Map<string, { readonly read: CoalescedRequest<Read>; waiting: number }>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Reads the history again for some seconds while it cannot be read, unless the event is not wanted any longer. */
  async last(topic: string, isWanted = () => true): Promise<CacheState> {
    const endsAt = performance.now() + READ_WITHIN_MS;
    for (let retryMs = FIRST_RETRY_MS; ; retryMs *= 2) {
      const read = await this.#readShared(topic);
      const isUnknown = read === "unreadable" || (read === "no-jetstream" && this.#parts.epoch() !== undefined);
      const leftMs = endsAt - performance.now();
      // Without JetStream there is no event. A history that was there before may only be without its leader.
      if (!isUnknown || leftMs <= 0) return read === "no-jetstream" ? "none" : read;
      await delay(Math.min(retryMs, leftMs));
      if (!isWanted()) return "unreadable";
    }
  }

  async #readShared(topic: string): Promise<Read> {
    const reading = this.#reading.get(topic) ?? { read: new CoalescedRequest(() => this.#read(topic)), waiting: 0 };
    this.#reading.set(topic, reading);
    reading.waiting++;
    try {
      return await reading.read.get();
    } catch {
      return "unreadable";
    } finally {
      reading.waiting--;
      if (reading.waiting === 0) this.#reading.delete(topic);
    }
  }

  async #read(topic: string): Promise<Read> {
    const { history, subjects, epoch } = this.#parts;
    const found = await history.last(subjects.history({ kind: "topic", topic }));
    if (!found.ok) return found.reason === "no-jetstream" ? "no-jetstream" : "unreadable";
    const { publication } = found;
    if (publication === undefined) return "none";
    if (Date.now() - publication.time.getTime() >= CACHE_SECONDS * 1_000) return "none";
    const current = epoch();
    const { sequence } = publication;
    return { publication, since: current && formatPosition({ epoch: current, sequence: sequence - 1 }) };
  }
}
