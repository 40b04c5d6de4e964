import type { Log } from "@fanwire/service";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { isApiError } from "../connection/api-error.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import { ConsumerCreator } from "./consumer-creator.ts";
import { parsePublishAck } from "./publish-ack.ts";
import { PullConsumer } from "./pull-consumer.ts";
import type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue.ts";

export type WorkQueueConfig = {
  /** Name of the stream. Created when it is missing; an existing one is used unchanged. */
  readonly stream: string;
  /** Subjects of the stream, which match the subject of every queue. */
  readonly subjects: string;
  readonly maxBytes: number;
  /** Maximum age of an item in milliseconds; 0 for no limit. */
  readonly maxAgeMs: number;
  readonly replicas: number;
};

const STORE_TIMEOUT_MS = 5_000;
/** Time after which an item without progress messages is redelivered. */
const ACK_WAIT_MS = 30_000;
/** Time after which NATS deletes an unused consumer. Its items stay, and the next taker creates another one. */
const CONSUMER_IDLE_MS = 3_600_000;
const MAX_ACK_PENDING = 100_000;
const MAX_WAITING_PULLS = 4_096;

/** Bytes that JetStream stores per item beside content and subject: the header with the id, and a record. */
const STORED_OVERHEAD_BYTES = 150;

/**
 * A {@link WorkQueue} in one JetStream stream with work-queue retention: an acknowledged item is deleted. A queue is a
 * subject with one durable pull consumer. Works from nats-server 2.9 on.
 */
export class JetStreamWorkQueue implements WorkQueue {
  readonly #bus: NatsBus;
  readonly #config: WorkQueueConfig;
  readonly #log: Log;
  readonly #takers = new Set<PullConsumer>();
  readonly #creator: ConsumerCreator;
  #manager: Promise<JetStreamManager> | undefined;
  /** Resolves with the maximum size of the stream in bytes; 0 for unlimited. */
  #stream: Promise<number> | undefined;
  #isStopped = false;

  constructor(bus: NatsBus, config: WorkQueueConfig, log: Log) {
    this.#bus = bus;
    this.#config = config;
    this.#log = log;
    this.#creator = new ConsumerCreator(log);
    // Pull requests are lost with the connection.
    bus.onConnection((isConnected) => {
      if (isConnected && !this.#isStopped) for (const taker of this.#takers) taker.renew();
    });
  }

  async enqueue(subject: string, content: Uint8Array, id: string): Promise<EnqueueOutcome> {
    try {
      // An item that never fits would be retried forever, and block later items.
      if (!(await this.#canFit(content.length + subject.length + STORED_OVERHEAD_BYTES))) {
        return { ok: false, reason: "too-large", detail: "larger than the queue stream" };
      }
    } catch (error) {
      return unavailable(error);
    }
    const outcome = await this.#bus.request(subject, content, {
      timeoutMs: STORE_TIMEOUT_MS,
      headers: [["Nats-Msg-Id", id]],
    });
    if (outcome.ok) return parsePublishAck(Buffer.from(outcome.message.data).toString(), this.#config.stream);
    if (outcome.reason === "too-large") return { ok: false, reason: "too-large", detail: "beyond NATS max_payload" };
    // A deleted stream has no responders.
    this.#stream = undefined;
    return { ok: false, reason: "unavailable", detail: outcome.reason };
  }

  take(subject: string, name: string, onItem: (item: WorkItem) => void): Taker {
    const taker: PullConsumer = new PullConsumer({
      bus: this.#bus,
      stream: this.#config.stream,
      consumer: name,
      creator: this.#creator,
      createConsumer: () => this.#createConsumer(subject, name),
      onItem,
      onStop: () => this.#takers.delete(taker),
      log: this.#log,
    });
    this.#takers.add(taker);
    return taker;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const taker of [...this.#takers]) taker.stop();
  }

  /** Whether the bytes fit into the empty stream. Rejects when the stream is missing and cannot be created. */
  async #canFit(bytes: number): Promise<boolean> {
    const known = await this.#needStream();
    if (known === 0 || bytes <= known) return true;
    // An operator may have enlarged the stream.
    this.#stream = undefined;
    const current = await this.#needStream();
    return current === 0 || bytes <= current;
  }

  async #needManager(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(this.#bus.connection, { checkAPI: false });
    return this.#manager;
  }

  /** Resolves with the maximum size of the stream. Rejects when the stream is missing and cannot be created. */
  #needStream(): Promise<number> {
    this.#stream ??= this.#findOrCreateStream().catch((error: unknown) => {
      this.#stream = undefined;
      throw error;
    });
    return this.#stream;
  }

  async #findOrCreateStream(): Promise<number> {
    const { stream, subjects, maxBytes, maxAgeMs, replicas } = this.#config;
    const { streams } = await this.#needManager();
    try {
      const { config } = await streams.info(stream);
      return Math.max(0, config.max_bytes);
    } catch (error) {
      if (!isApiError(error, JetStreamApiCodes.StreamNotFound)) throw error;
    }
    await streams.add({
      name: stream,
      subjects: [subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      // A full stream refuses new items, because stored ones were confirmed.
      discard: DiscardPolicy.New,
      max_bytes: maxBytes,
      max_age: nanos(maxAgeMs),
      num_replicas: replicas,
    });
    this.#log.info({ stream, maxBytes, maxAgeMs, replicas }, "queue stream created");
    return maxBytes;
  }

  async #createConsumer(subject: string, name: string): Promise<void> {
    await this.#needStream();
    const { consumers } = await this.#needManager();
    try {
      await consumers.add(this.#config.stream, {
        durable_name: name,
        filter_subject: subject,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        ack_wait: nanos(ACK_WAIT_MS),
        max_ack_pending: MAX_ACK_PENDING,
        max_waiting: MAX_WAITING_PULLS,
        inactive_threshold: nanos(CONSUMER_IDLE_MS),
      });
    } catch (error) {
      if (isApiError(error, JetStreamApiCodes.StreamNotFound)) this.#stream = undefined;
      throw error;
    }
  }
}

function unavailable(error: unknown): EnqueueOutcome {
  return { ok: false, reason: "unavailable", detail: error instanceof Error ? error.message : String(error) };
}
