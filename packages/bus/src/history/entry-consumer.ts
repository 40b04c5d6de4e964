import { AckPolicy, type ConsumerAPI, type ConsumerInfo, DeliverPolicy } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { type AckSubject, parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage, BusSubscription } from "../connection/bus.ts";
import type { HeaderBlock } from "../connection/header-block.ts";
import type { NatsBus } from "../connection/nats-bus.ts";

/** Maximum number of entries per request. Bounds the bytes in our socket, and so the longest tick. */
const MAX_BATCH = 500;
const HEARTBEAT_MS = 1_000;
const EXPIRES_MS = 30_000;
const SILENT_AFTER_MS = 2_500;
const CHECK_MS = 500;
/** The server removes the consumer of a dead worker after this time. */
const INACTIVE_MS = 30_000;
/** Interval of polls while nobody needs the entries at once: a wake-up costs more than the entries that it brings. */
const POLL_MS = 25;
/** With fewer entries than this in one poll, polling does not pay. */
const FEW = 10;

/** Statuses of the server's replies to a request for entries. */
const HEARTBEAT = 100;
const NO_MORE = 404;
const EXPIRED = 408;

export interface EntryReceiver {
  /**
   * Receives one stored publication, strictly in stream order. Publications between the entry before it, or the start
   * of the consumer, and this one are no longer stored.
   */
  onEntry(entry: { readonly sequence: number; readonly subject: string; readonly bytes: number }): void;
  /** False stops requests for entries until {@link EntryConsumer.resume}. */
  hasRoom(): boolean;
  /** Whether nobody waits for the entries, so that they may arrive later and in larger portions. */
  isPatient(): boolean;
}

type EntryConsumerOptions = {
  readonly bus: NatsBus;
  readonly consumers: ConsumerAPI;
  readonly stream: string;
  readonly after: number;
  readonly receiver: EntryReceiver;
};

/**
 * One ordered, ephemeral consumer over the whole history, headers only, without acknowledgements. Its delivery counter
 * has no gaps, so any loss shows at once. It ends at the first doubt, and its user creates another one from {@link
 * last}.
 */
export class EntryConsumer {
  readonly #bus: NatsBus;
  readonly #stream: string;
  readonly #name: string;
  readonly #receiver: EntryReceiver;
  /** Number of entries per request. */
  readonly #batch: number;
  readonly #subscription: BusSubscription;
  readonly #inbox: string;
  readonly #check: NodeJS.Timeout;
  /** Resolves with the reason when the consumer has ended. */
  readonly ended: Promise<string>;
  #end: (reason: string) => void = () => {};
  /** Resolves with true when the server has answered a request, with false if the consumer has ended without that. */
  readonly answered: Promise<boolean>;
  #answer: (isAnswered: boolean) => void = () => {};
  #hasEnded = false;
  #last: number;
  #storedAt: number | undefined;
  #counter = 0;
  /** Number of requested entries that have not arrived. */
  #outstanding = 0;
  #receivedAt = performance.now();
  #checkedAt = performance.now();
  #poll: NodeJS.Timeout | undefined;
  #polled = 0;
  #isPolling = false;

  private constructor({ bus, stream, after, receiver }: EntryConsumerOptions, name: string, batch: number) {
    this.#bus = bus;
    this.#stream = stream;
    this.#name = name;
    this.#last = after;
    this.#receiver = receiver;
    this.#batch = batch;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.answered = new Promise((resolve) => {
      this.#answer = resolve;
    });
    this.#inbox = bus.createInbox();
    this.#subscription = bus.subscribe(this.#inbox, (message) => this.#onMessage(message));
    this.#check = setInterval(() => this.#checkSilence(), CHECK_MS);
  }

  /**
   * Creates a consumer that begins after a sequence.
   *
   * @throws errors of the JetStream client, after about a second when nobody can create the consumer.
   */
  static async create(options: EntryConsumerOptions): Promise<EntryConsumer> {
    const { consumers, stream, after } = options;
    const name = nuid.next();
    const config = {
      name,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
      headers_only: true,
      ack_policy: AckPolicy.None,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(INACTIVE_MS),
    };
    try {
      const created = await consumers.add(stream, config);
      return new EntryConsumer(options, name, Math.min(MAX_BATCH, largestBatchOf(created)));
    } catch (error) {
      // The server may create it after the timeout.
      consumers.delete(stream, name).catch(() => {});
      throw error;
    }
  }

  /**
   * Requests entries if there is room and few are under way. Must be called at the start and whenever room was made.
   */
  resume(): void {
    this.#next(false);
  }

  /** Sequence of the last received entry; before the first, the start of the consumer. */
  get last(): number {
    return this.#last;
  }

  /** Time at which {@link last} was stored, in milliseconds since 1970; undefined before the first entry. */
  get storedAt(): number | undefined {
    return this.#storedAt;
  }

  /** Whether entries are fetched periodically, so that stored ones may not have been requested yet. */
  get isPolling(): boolean {
    return this.#isPolling;
  }

  /** Requests entries at once, because a caller waits for the next one. */
  hurry(): void {
    this.#polled = 0;
    if (this.#poll === undefined) return;
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#next(false);
  }

  stop(reason = "stopped"): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#check);
    clearTimeout(this.#poll);
    this.#subscription.unsubscribe();
    this.#answer(false);
    this.#end(reason);
  }

  get name(): string {
    return this.#name;
  }

  #pull(request: object): void {
    this.#outstanding += this.#batch;
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`;
    this.#bus.connection.publish(subject, JSON.stringify(request), { reply: this.#inbox });
  }

  /** @param isDrained whether the server has just reported that there are no further entries. */
  #next(isDrained: boolean): void {
    if (this.#hasEnded || this.#poll !== undefined || !this.#receiver.hasRoom()) return;
    const isPolling = this.#polled > FEW && this.#receiver.isPatient();
    if (!isPolling) {
      if (this.#outstanding > this.#batch / 2) return;
      this.#isPolling = false;
      this.#pull({ batch: this.#batch, expires: nanos(EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) });
      return;
    }
    if (this.#outstanding > 0) return;
    if (isDrained) this.#poll = setTimeout(() => this.#pollNow(), POLL_MS);
    else this.#pollNow();
  }

  #pollNow(): void {
    this.#poll = undefined;
    this.#polled = 0;
    this.#isPolling = true;
    if (!this.#hasEnded) this.#pull({ batch: this.#batch, no_wait: true });
  }

  #onMessage(message: BusMessage): void {
    if (this.#hasEnded) return;
    this.#receivedAt = performance.now();
    const delivery = parseAckSubject(message.reply ?? "");
    if (delivery === undefined) this.#onStatus(message.headers as HeaderBlock | undefined);
    else this.#onDelivery(message, delivery);
  }

  #onDelivery(message: BusMessage, delivery: AckSubject): void {
    const { streamSequence: sequence, consumerSequence: counter, storedAt } = delivery;
    if (counter !== this.#counter + 1 || sequence <= this.#last) {
      this.stop("an entry was lost");
      return;
    }
    this.#answer(true);
    this.#counter = counter;
    this.#polled++;
    if (this.#outstanding > 0) this.#outstanding--;
    this.#last = sequence;
    this.#storedAt = storedAt;
    const bytes = Number(message.headers?.get("Nats-Msg-Size")) || 0;
    this.#receiver.onEntry({ sequence, subject: message.subject, bytes });
    if (this.#outstanding <= this.#batch / 2) this.#next(false);
  }

  #onStatus(headers: HeaderBlock | undefined): void {
    const lastCounter = headers?.get("Nats-Last-Consumer") ?? "";
    switch (headers?.status) {
      case HEARTBEAT:
        if (lastCounter !== "" && Number(lastCounter) !== this.#counter) this.stop("an entry was lost");
        this.#answer(true);
        return;
      case NO_MORE:
      case EXPIRED:
        this.#answer(true);
        this.#outstanding = Math.max(0, this.#outstanding - this.#pendingOf(headers));
        this.#next(true);
        return;
      default:
        this.stop(headers?.description || "consumer deleted");
    }
  }

  /** Returns the number of entries that an ended request did not deliver. The server omits it when it delivered none. */
  #pendingOf(headers: HeaderBlock): number {
    const pending = headers.get("Nats-Pending-Messages");
    return pending === "" ? this.#batch : Number(pending) || 0;
  }

  #checkSilence(): void {
    const now = performance.now();
    const isLate = now - this.#checkedAt > 2 * CHECK_MS;
    this.#checkedAt = now;
    // After a stall of this process, messages that arrived meanwhile are read after this timer.
    if (isLate || this.#outstanding === 0) this.#receivedAt = Math.max(this.#receivedAt, now - SILENT_AFTER_MS / 2);
    else if (now - this.#receivedAt > SILENT_AFTER_MS) this.stop("no heartbeat");
  }
}

/** Returns the maximum number of messages that the server sends for one request to a consumer. */
export function largestBatchOf({ config }: ConsumerInfo): number {
  return config.max_batch || Number.POSITIVE_INFINITY;
}
