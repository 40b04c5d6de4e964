import type { Log } from "@fanwire/service";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import type { NatsBus } from "../connection/nats-bus.ts";
import { parsePublishAck } from "./publish-ack.ts";
import { PullConsumer } from "./pull-consumer.ts";
import type { EnqueueOutcome, Taker, WorkItem, WorkQueue } from "./work-queue.ts";

export type WorkQueueConfig = {
  /** Name of the stream; created when it is missing, used as it is when not. */
  readonly stream: string;
  /** What the stream holds: every queue's subject matches it. */
  readonly subjects: string;
  readonly maxBytes: number;
  /** 0: none. */
  readonly maxAgeMs: number;
  readonly replicas: number;
};

const STORE_TIMEOUT_MS = 5_000;
/** Items given out and not finished in this time go to somebody else; who holds one says so more often. */
const ACK_WAIT_MS = 30_000;
/** A consumer nobody uses is deleted by NATS; the items stay, and the next taker makes a new one. */
const CONSUMER_IDLE_MS = 3_600_000;
const MAX_ACK_PENDING = 100_000;
const MAX_WAITING_PULLS = 4_096;

/** What JetStream stores of an item beside its content and subject: its id in a header, and a record of its own. */
const STORED_OVERHEAD_BYTES = 150;

/**
 * A {@link WorkQueue} in one JetStream stream of the work-queue kind: an item is deleted when its taker has finished it.
 * A queue is a subject, and has one durable pull consumer. Works from nats-server 2.9 on.
 */
export class JetStreamWorkQueue implements WorkQueue {
  readonly #bus: NatsBus;
  readonly #config: WorkQueueConfig;
  readonly #log: Log;
  readonly #takers = new Set<PullConsumer>();
  #manager: Promise<JetStreamManager> | undefined;
  /** Resolves with the size of the stream in bytes; 0: unlimited. */
  #stream: Promise<number> | undefined;
  #isStopped = false;

  constructor(bus: NatsBus, config: WorkQueueConfig, log: Log) {
    this.#bus = bus;
    this.#config = config;
    this.#log = log;
    void this.#watchConnection(bus.connection);
  }

  async enqueue(subject: string, content: Uint8Array, id: string): Promise<EnqueueOutcome> {
    try {
      // An item that never fits would be tried for ever, and those after it would wait.
      if (!(await this.#canFit(content.length + subject.length + STORED_OVERHEAD_BYTES))) {
        return { ok: false, reason: "too-large", detail: "larger than the stream of the queues" };
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
    // Nobody answers for a stream that is gone.
    this.#stream = undefined;
    return { ok: false, reason: "unavailable", detail: outcome.reason };
  }

  take(subject: string, name: string, onItem: (item: WorkItem) => void): Taker {
    const taker: PullConsumer = new PullConsumer({
      bus: this.#bus,
      stream: this.#config.stream,
      consumer: name,
      needConsumer: () => this.#needConsumer(subject, name),
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

  /** Whether the empty stream has room for so many bytes. Rejects when the stream is missing and cannot be created. */
  async #canFit(bytes: number): Promise<boolean> {
    const known = await this.#needStream();
    if (known === 0 || bytes <= known) return true;
    // An operator may have enlarged the stream.
    this.#stream = undefined;
    const current = await this.#needStream();
    return current === 0 || bytes <= current;
  }

  #needManager(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(this.#bus.connection, { checkAPI: false });
    return this.#manager;
  }

  /** Resolves with the stream's size, as {@link #stream}. Rejects when it is missing and cannot be created. */
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
      // What is stored is a promise: a full stream refuses new items, it does not forget old ones.
      discard: DiscardPolicy.New,
      max_bytes: maxBytes,
      max_age: nanos(maxAgeMs),
      num_replicas: replicas,
    });
    this.#log.info({ stream, maxBytes, maxAgeMs, replicas }, "created the stream of the queues");
    return maxBytes;
  }

  async #needConsumer(subject: string, name: string): Promise<void> {
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

  async #watchConnection(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type !== "reconnect" || this.#isStopped) continue;
      // What was asked of the connection before went with it.
      for (const taker of this.#takers) taker.renew();
    }
  }
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

function unavailable(error: unknown): EnqueueOutcome {
  return { ok: false, reason: "unavailable", detail: error instanceof Error ? error.message : String(error) };
}
