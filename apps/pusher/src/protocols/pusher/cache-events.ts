import type { History, StoredPublication } from "@fanwire/bus";
import { formatPosition, type Subjects } from "@fanwire/protocol";
import { CACHE_SECONDS } from "@fanwire/pusher-protocol";

export type CachedEvent = {
  readonly publication: StoredPublication;
  /** Position before it. A replay from here begins with it. */
  readonly since: string;
};

type CacheParts = {
  readonly history: History;
  readonly subjects: Subjects;
  /** Epoch of the history as this worker has processed it. */
  epoch(): string | undefined;
};

/** The last published events of cache channels: the last durable publications of their topics. */
export class CacheEvents {
  readonly #parts: CacheParts;
  /** Reads under way. Thousands of clients may subscribe to one channel at once. */
  readonly #reading = new Map<string, Promise<CachedEvent | undefined>>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Returns undefined if there is none, if it is too old, or if the history cannot be read. */
  last(topic: string): Promise<CachedEvent | undefined> {
    const reading = this.#reading.get(topic) ?? this.#read(topic).finally(() => this.#reading.delete(topic));
    this.#reading.set(topic, reading);
    return reading;
  }

  async #read(topic: string): Promise<CachedEvent | undefined> {
    const { history, subjects, epoch } = this.#parts;
    const found = await history.last(subjects.history({ kind: "topic", topic }));
    const current = epoch();
    if (!found.ok || found.publication === undefined || current === undefined) return undefined;
    const { publication } = found;
    if (Date.now() - publication.time.getTime() >= CACHE_SECONDS * 1_000) return undefined;
    return { publication, since: formatPosition({ epoch: current, sequence: publication.sequence - 1 }) };
  }
}
