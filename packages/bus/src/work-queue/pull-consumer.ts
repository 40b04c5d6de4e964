import type { Log } from "@fanwire/service";
import { parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage } from "../connection/bus.ts";
import { HeaderBlock } from "../connection/header-block.ts";
import type { NatsBus } from "../connection/nats-bus.ts";
import type { Subscription } from "../connection/subscription.ts";
import type { ConsumerCreator, MissingConsumer } from "./consumer-creator.ts";
import { InFlightItem } from "./in-flight-item.ts";
import type { Taker, WorkItem } from "./work-queue.ts";

/** Time after which NATS reports that a pull request has expired. */
const PULL_EXPIRES_MS = 30_000;
/** After this time a pull without any reply was lost, for example with a NATS server. */
const LOST_AFTER_MS = PULL_EXPIRES_MS + 5_000;
const RETRY_MS = 1_000;
/** Maximum number of pulls of one item each. NATS serves requests in turn, so this is a share and no rate. */
const MAX_PULLS = 64;
const EXPIRED = 408;
const NO_STATUS = { status: 0, description: "" };

type PullConsumerParts = {
  readonly bus: NatsBus;
  readonly stream: string;
  readonly consumer: string;
  readonly creator: ConsumerCreator;
  /** Creates the consumer, unless it exists. Rejects when NATS does not create it. */
  createConsumer(): Promise<void>;
  onItem(item: WorkItem): void;
  onStop(): void;
  readonly log: Log;
};

/**
 * Takes the items of one queue with one pull request per wanted item. Requests share an inbox. Closing the inbox
 * cancels them, because NATS skips requests without a subscriber.
 */
export class PullConsumer implements Taker, MissingConsumer {
  readonly #parts: PullConsumerParts;
  /** Unacknowledged items, by sequence in the stream. */
  readonly #inFlight = new Map<number, InFlightItem>();
  readonly #pullSubject: string;
  readonly #pullRequest = JSON.stringify({ batch: 1, expires: PULL_EXPIRES_MS * 1_000_000 });
  #inbox: Subscription | undefined;
  #wanted = 0;
  #pulls = 0;
  #hasConsumer = false;
  #lostTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: PullConsumerParts) {
    this.#parts = parts;
    this.#pullSubject = `$JS.API.CONSUMER.MSG.NEXT.${parts.stream}.${parts.consumer}`;
  }

  want(count: number): void {
    if (this.#isStopped) return;
    this.#wanted = Math.min(count, MAX_PULLS);
    if (this.#wanted < this.#pulls) this.#cancel();
    if (this.#wanted === 0) this.#parts.creator.cancel(this);
    this.#pull();
  }

  /** Repeats all pull requests, because earlier ones may be lost. */
  renew(): void {
    this.#cancel();
    this.#pull();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#wanted = 0;
    this.#cancel();
    this.#parts.creator.cancel(this);
    this.#isStopped = true;
    this.#parts.onStop();
  }

  get name(): string {
    return this.#parts.consumer;
  }

  get isNeeded(): boolean {
    return this.#wanted > 0 && !this.#hasConsumer;
  }

  create(): Promise<void> {
    return this.#parts.createConsumer();
  }

  onCreated(): void {
    this.#hasConsumer = true;
    this.#pull();
  }

  #pull(): void {
    if (this.#pulls >= this.#wanted || this.#isStopped) return;
    if (!this.#hasConsumer) {
      this.#parts.creator.add(this);
      return;
    }
    this.#inbox ??= this.#openInbox();
    const { subject: reply } = this.#inbox;
    while (this.#pulls < this.#wanted) {
      this.#parts.bus.connection.publish(this.#pullSubject, this.#pullRequest, { reply });
      this.#pulls++;
    }
    clearTimeout(this.#lostTimer);
    this.#lostTimer = setTimeout(() => this.renew(), LOST_AFTER_MS);
  }

  #openInbox(): Subscription {
    const { bus } = this.#parts;
    const inbox = bus.subscribe(bus.createInbox(), (message) => this.#onMessage(message, inbox));
    return inbox;
  }

  #onMessage(message: BusMessage, inbox: Subscription): void {
    const delivery = message.reply === undefined ? undefined : parseAckSubject(message.reply);
    // Only the current inbox answers pulls that are counted.
    const isCurrent = inbox === this.#inbox;
    if (delivery === undefined) {
      if (isCurrent) this.#onStatus(message);
      return;
    }
    if (isCurrent) this.#pulls--;
    this.#onItem(message, delivery.streamSequence, delivery.storedAt, delivery.count);
  }

  #onItem(message: BusMessage, sequence: number, storedAt: number, count: number): void {
    // NATS redelivers an item in flight when it has waited too long, or has lost the acknowledgement.
    const known = this.#inFlight.get(sequence);
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
      onOver: () => this.#inFlight.delete(sequence),
    });
    this.#inFlight.set(sequence, item);
    this.#parts.onItem(item);
  }

  /** Processes a message that is no item: a pull has expired, or the consumer is deleted or busy. */
  #onStatus({ headers }: BusMessage): void {
    const { status, description } = headers instanceof HeaderBlock ? headers : NO_STATUS;
    if (status === EXPIRED) {
      this.#pulls--;
      this.#pull();
      return;
    }
    const { log, consumer } = this.#parts;
    log.debug({ status, reason: description, consumer }, "pull request of a queue refused");
    this.#cancel();
    this.#hasConsumer = false;
    setTimeout(() => this.#pull(), RETRY_MS).unref();
  }

  /** Closes the inbox after the items that are on their way to it have arrived. */
  #cancel(): void {
    clearTimeout(this.#lostTimer);
    // On a closed connection nothing arrives any longer.
    this.#inbox?.drain().catch(() => {});
    this.#inbox = undefined;
    this.#pulls = 0;
  }
}
