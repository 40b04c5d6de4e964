import type { Log } from "@fanwire/service";

/** Maximum number of creations that wait for JetStream, because each needs an API request. */
const MAX_UNDER_WAY = 64;
const RETRY_MS = 1_000;
/** Minimum time between two log lines about failures. */
const LOG_EVERY_MS = 10_000;

/** A consumer in NATS that a taker needs. */
export type MissingConsumer = {
  readonly name: string;
  readonly isNeeded: boolean;
  /** Rejects when NATS does not create it. */
  create(): Promise<void>;
  onCreated(): void;
};

/** Creates the consumers of all queues, a bounded number at a time, and retries those that fail. */
export class ConsumerCreator {
  readonly #log: Log;
  /** Consumers whose creation has not begun, in order. */
  readonly #waiting = new Set<MissingConsumer>();
  readonly #underWay = new Set<MissingConsumer>();
  /** Consumers whose creation has failed, with the timers of the next try. */
  readonly #failed = new Map<MissingConsumer, NodeJS.Timeout>();
  #isPlanned = false;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Creates the consumer in a later tick, unless {@link cancel} comes before. A repeated call changes nothing. */
  add(consumer: MissingConsumer): void {
    if (this.#underWay.has(consumer) || this.#failed.has(consumer)) return;
    this.#waiting.add(consumer);
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#createNext();
    });
  }

  /** Must be called when the consumer is no longer needed. A creation that is under way continues. */
  cancel(consumer: MissingConsumer): void {
    this.#waiting.delete(consumer);
    clearTimeout(this.#failed.get(consumer));
    this.#failed.delete(consumer);
  }

  #createNext(): void {
    for (const consumer of this.#waiting) {
      if (this.#underWay.size >= MAX_UNDER_WAY) return;
      this.#waiting.delete(consumer);
      this.#underWay.add(consumer);
      void this.#create(consumer);
    }
  }

  async #create(consumer: MissingConsumer): Promise<void> {
    try {
      await consumer.create();
      this.#underWay.delete(consumer);
      consumer.onCreated();
    } catch (error) {
      this.#underWay.delete(consumer);
      if (consumer.isNeeded) this.#retryLater(consumer, error);
    }
    this.#createNext();
  }

  #retryLater(consumer: MissingConsumer, error: unknown): void {
    const retry = () => {
      this.#failed.delete(consumer);
      this.add(consumer);
    };
    this.#failed.set(consumer, setTimeout(retry, RETRY_MS).unref());
    const now = performance.now();
    if (now - this.#loggedAt < LOG_EVERY_MS) return;
    this.#loggedAt = now;
    const waiting = this.#waiting.size + this.#underWay.size + this.#failed.size;
    this.#log.warn({ err: error, consumer: consumer.name, waiting }, "queue consumers unavailable, retrying");
  }
}
