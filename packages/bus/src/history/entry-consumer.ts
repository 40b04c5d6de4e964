import { AckPolicy, type ConsumerAPI, DeliverPolicy } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { type AckSubject, parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage, BusSubscription } from "../connection/bus.ts";
import type { HeaderBlock } from "../connection/header-block.ts";
import type { NatsBus } from "../connection/nats-bus.ts";

/** Entries per request. Bounds the bytes in our socket, and so the longest tick. */
const BATCH = 500;
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
   * Receives one stored publication, strictly in stream order. `previous` is the sequence of the entry before it, or
   * the start of the consumer. Publications between the two are no longer stored.
   */
  onEntry(
    entry: { readonly sequence: number; readonly subject: string; readonly bytes: number },
    previous: number,
  ): void;
  /** False stops requests for entries until {@link EntryConsumer.resume}. */
  hasRoom(): boolean;
  /** Whether nobody waits for the entries, so that they may arrive later and in larger portions. */
  isPatient(): boolean;
}

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
  readonly #subscription: BusSubscription;
  readonly #inbox: string;
  readonly #check: NodeJS.Timeout;
  /** Resolves with the reason when the consumer has ended. */
  readonly ended: Promise<string>;
  #end: (reason: string) => void = () => {};
  #hasEnded = false;
  #previous: number;
  #storedAt: number | undefined;
  #counter = 0;
  /** Number of requested entries that have not arrived. */
  #outstanding = 0;
  #receivedAt = performance.now();
  #checkedAt = performance.now();
  #poll: NodeJS.Timeout | undefined;
  #polled = 0;
  #isPolling = false;

  private constructor(bus: NatsBus, stream: string, name: string, after: number, receiver: EntryReceiver) {
    this.#bus = bus;
    this.#stream = stream;
    this.#name = name;
    this.#previous = after;
    this.#receiver = receiver;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
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
  static async create(options: {
    readonly bus: NatsBus;
    readonly consumers: ConsumerAPI;
    readonly stream: string;
    readonly after: number;
    readonly receiver: EntryReceiver;
  }): Promise<EntryConsumer> {
    const { bus, consumers, stream, after, receiver } = options;
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
      await consumers.add(stream, config);
    } catch (error) {
      // The server may create it after the timeout.
      consumers.delete(stream, name).catch(() => {});
      throw error;
    }
    return new EntryConsumer(bus, stream, name, after, receiver);
  }

  /**
   * Requests entries if there is room and few are under way. Must be called at the start and whenever room was made.
   */
  resume(): void {
    this.#next(false);
  }

  /** Sequence of the last received entry; before the first, the start of the consumer. */
  get last(): number {
    return this.#previous;
  }

  /** Time at which {@link last} was stored, in milliseconds since 1970; undefined before the first entry. */
  get storedAt(): number | undefined {
    return this.#storedAt;
  }

  /** Whether entries are fetched periodically, so that stored ones may not have been requested yet. */
  get isPolling(): boolean {
    return this.#isPolling;
  }

  /** Requests entries at once, because somebody waits for the next one. */
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
    this.#end(reason);
  }

  get name(): string {
    return this.#name;
  }

  #pull(request: object): void {
    this.#outstanding += BATCH;
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#name}`;
    this.#bus.connection.publish(subject, JSON.stringify(request), { reply: this.#inbox });
  }

  /** @param isDrained whether the server has just reported that there are no further entries. */
  #next(isDrained: boolean): void {
    if (this.#hasEnded || this.#poll !== undefined || !this.#receiver.hasRoom()) return;
    const isPolling = this.#polled > FEW && this.#receiver.isPatient();
    if (!isPolling) {
      if (this.#outstanding > BATCH / 2) return;
      this.#isPolling = false;
      this.#pull({ batch: BATCH, expires: nanos(EXPIRES_MS), idle_heartbeat: nanos(HEARTBEAT_MS) });
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
    if (!this.#hasEnded) this.#pull({ batch: BATCH, no_wait: true });
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
    if (counter !== this.#counter + 1 || sequence <= this.#previous) {
      this.stop("an entry was lost");
      return;
    }
    this.#counter = counter;
    this.#polled++;
    if (this.#outstanding > 0) this.#outstanding--;
    const previous = this.#previous;
    this.#previous = sequence;
    this.#storedAt = storedAt;
    const bytes = Number(message.headers?.get("Nats-Msg-Size")) || 0;
    this.#receiver.onEntry({ sequence, subject: message.subject, bytes }, previous);
    if (this.#outstanding <= BATCH / 2) this.#next(false);
  }

  #onStatus(headers: HeaderBlock | undefined): void {
    const lastCounter = headers?.get("Nats-Last-Consumer") ?? "";
    switch (headers?.status) {
      case HEARTBEAT:
        if (lastCounter !== "" && Number(lastCounter) !== this.#counter) this.stop("an entry was lost");
        return;
      case NO_MORE:
      case EXPIRED:
        this.#outstanding = Math.max(0, this.#outstanding - pendingOf(headers));
        this.#next(true);
        return;
      default:
        this.stop(headers?.description || "consumer deleted");
    }
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

/** Returns the number of entries that an ended request did not deliver. The server omits it when it delivered none. */
function pendingOf(headers: HeaderBlock): number {
  const pending = headers.get("Nats-Pending-Messages");
  return pending === "" ? BATCH : Number(pending) || 0;
}
