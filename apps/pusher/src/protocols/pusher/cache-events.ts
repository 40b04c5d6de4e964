import { CoalescedRequest, type History, type StoredPublication } from "@fanwire/bus";
import { formatPosition, type Subjects } from "@fanwire/protocol";
import { CACHE_SECONDS } from "@fanwire/pusher-protocol";

export type CachedEvent = {
  readonly publication: StoredPublication;
  /** Position before it. A replay from here begins with it. Undefined while this worker has not read the history. */
  readonly since: string | undefined;
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
  /** Reads by topic, and how many wait for them. Thousands of clients may subscribe to one channel at once. */
  readonly #reading = new Map<string, { readonly read: CoalescedRequest<CachedEvent | undefined>; waiting: number }>();

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Returns undefined if there is none, if it is too old, or if the history cannot be read. */
  async last(topic: string): Promise<CachedEvent | undefined> {
    const reading = this.#reading.get(topic) ?? { read: new CoalescedRequest(() => this.#read(topic)), waiting: 0 };
    this.#reading.set(topic, reading);
    reading.waiting++;
    try {
      return await reading.read.get();
    } catch {
      return undefined;
    } finally {
      reading.waiting--;
      if (reading.waiting === 0) this.#reading.delete(topic);
    }
  }

  async #read(topic: string): Promise<CachedEvent | undefined> {
    const { history, subjects, epoch } = this.#parts;
    const found = await history.last(subjects.history({ kind: "topic", topic }));
    if (!found.ok || found.publication === undefined) return undefined;
    const { publication } = found;
    if (Date.now() - publication.time.getTime() >= CACHE_SECONDS * 1_000) return undefined;
    const current = epoch();
    const { sequence } = publication;
    return { publication, since: current && formatPosition({ epoch: current, sequence: sequence - 1 }) };
  }
}
