import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "@fanwire/service";
import type { Msg, Subscription } from "@nats-io/transport-node";
import { parseAckSubject } from "../connection/ack-subject.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import { InFlightItem } from "./in-flight-item.ts";
import type { Taker, WorkItem } from "./work-queue.ts";

/** NATS forgets a pull request after this time, and says so. */
const PULL_EXPIRES_MS = 30_000;
/** A pull that was neither answered nor reported expired has been lost, with a NATS server for example. */
const LOST_AFTER_MS = PULL_EXPIRES_MS + 5_000;
const RETRY_MS = 1_000;
/** Pulls under way at most: each is one item, and requests are served in turn, so this is a share, not a speed. */
const MAX_PULLS = 64;
const EXPIRED = 408;

type PullConsumerParts = {
  readonly bus: NatsBus;
  readonly stream: string;
  readonly consumer: string;
  /** Resolves when the consumer exists. */
  needConsumer(): Promise<void>;
  onItem(item: WorkItem): void;
  onStop(): void;
  readonly log: Log;
};

/**
 * Takes the items of one queue, by one pull request for each that is wanted. All requests of a while name one inbox; to
 * take requests back, the inbox is closed: NATS skips requests that nobody listens for.
 */
export class PullConsumer implements Taker {
  readonly #parts: PullConsumerParts;
  /** Items given to us and not finished, by their sequence in the stream. */
  readonly #held = new Map<number, InFlightItem>();
  readonly #pullSubject: string;
  readonly #pullRequest = JSON.stringify({ batch: 1, expires: PULL_EXPIRES_MS * 1_000_000 });
  #inbox: Subscription | undefined;
  #wanted = 0;
  #pulls = 0;
  #hasConsumer = false;
  #isPreparing = false;
  #lostTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: PullConsumerParts) {
    this.#parts = parts;
    this.#pullSubject = `$JS.API.CONSUMER.MSG.NEXT.${parts.stream}.${parts.consumer}`;
  }

  want(count: number): void {
    if (this.#isStopped) return;
    this.#wanted = Math.min(count, MAX_PULLS);
    if (this.#wanted < this.#pulls) this.#takeBack();
    this.#pull();
  }

  /** Asks anew for all that is wanted: what was asked before may be lost. */
  renew(): void {
    this.#takeBack();
    this.#pull();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#wanted = 0;
    this.#takeBack();
    this.#isStopped = true;
    this.#parts.onStop();
  }

  #pull(): void {
    if (this.#pulls >= this.#wanted || this.#isStopped) return;
    if (!this.#hasConsumer) {
      void this.#prepare();
      return;
    }
    const { bus } = this.#parts;
    const { connection } = bus;
    this.#inbox ??= connection.subscribe(bus.createInbox(), {
      callback: (_error, message) => this.#onMessage(message),
    });
    const reply = this.#inbox.getSubject();
    while (this.#pulls < this.#wanted) {
      connection.publish(this.#pullSubject, this.#pullRequest, { reply });
      this.#pulls++;
    }
    clearTimeout(this.#lostTimer);
    this.#lostTimer = setTimeout(() => this.renew(), LOST_AFTER_MS);
  }

  async #prepare(): Promise<void> {
    if (this.#isPreparing) return;
    this.#isPreparing = true;
    while (!this.#hasConsumer && this.#wanted > 0) {
      try {
        await this.#parts.needConsumer();
        this.#hasConsumer = true;
      } catch (error) {
        this.#parts.log.warn({ err: error, consumer: this.#parts.consumer }, "a queue cannot be taken from yet");
        await delay(RETRY_MS, undefined, { ref: false });
      }
    }
    this.#isPreparing = false;
    this.#pull();
  }

  #onMessage(message: Msg): void {
    const delivery = message.reply === undefined ? undefined : parseAckSubject(message.reply);
    if (delivery === undefined) this.#onStatus(message);
    else this.#onItem(message, delivery.streamSequence, delivery.storedAt, delivery.count);
  }

  #onItem(message: Msg, sequence: number, storedAt: number, count: number): void {
    if (this.#isCurrent(message)) this.#pulls--;
    // Given to us again while we hold it: NATS has waited too long, or lost the news that we were done with it.
    const known = this.#held.get(sequence);
    if (known !== undefined) {
      known.onRepeated(message);
      this.#pull();
      return;
    }
    const item = new InFlightItem({
      message,
      storedAt,
      isRepeated: count > 1,
      connection: this.#parts.bus.connection,
      onOver: () => this.#held.delete(sequence),
    });
    this.#held.set(sequence, item);
    this.#parts.onItem(item);
  }

  /** Anything that is no item: a pull has expired, or the consumer is gone or busy. */
  #onStatus(message: Msg): void {
    const code = message.headers?.code;
    if (!this.#isCurrent(message)) return;
    if (code === EXPIRED) {
      this.#pulls--;
      this.#pull();
      return;
    }
    const { log, consumer } = this.#parts;
    log.debug({ code, reason: message.headers?.description, consumer }, "NATS serves no pull requests of a queue");
    this.#takeBack();
    this.#hasConsumer = false;
    setTimeout(() => this.#pull(), RETRY_MS).unref();
  }

  /** Whether it answers one of the pulls that are counted. */
  #isCurrent(message: Msg): boolean {
    return message.sid === this.#inbox?.getID();
  }

  /** Items that were on their way to the old inbox still come: it is closed only once NATS has sent them. */
  #takeBack(): void {
    clearTimeout(this.#lostTimer);
    // The connection may be closed already: then nothing more comes anyway.
    this.#inbox?.drain().catch(() => {});
    this.#inbox = undefined;
    this.#pulls = 0;
  }
}
