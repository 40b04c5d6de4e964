import { AckPolicy, type ConsumerAPI, DeliverPolicy } from "@nats-io/jetstream";
import { nanos, nuid } from "@nats-io/transport-node";
import { parseAckSubject } from "../connection/ack-subject.ts";
import type { BusMessage, BusSubscription } from "../connection/bus.ts";
import type { HeaderBlock } from "../connection/header-block.ts";
import type { NatsBus } from "../connection/nats-bus.ts";

/** Entries per request. Bounds what waits in our socket, and so the longest tick. */
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

/** Statuses by which the server answers a request for entries. */
const HEARTBEAT = 100;
const NO_MORE = 404;
const EXPIRED = 408;

export interface EntryReceiver {
  /**
   * One stored publication, strictly in stream order. `previous` is the sequence of the entry before it, or where the consumer
   * began: a distance of more than one says that publications in between are not stored any more.
   */
  onEntry(
    entry: { readonly sequence: number; readonly subject: string; readonly bytes: number },
    previous: number,
  ): void;
  /** False: no more entries are asked for until {@link EntryConsumer.resume}. */
  hasRoom(): boolean;
  /** Whether nobody waits for the entries: then they may come later, and in larger portions. */
  isPatient(): boolean;
}

/**
 * One ordered, ephemeral consumer over the whole history, headers only, without acknowledgements. Its own delivery counter is
 * dense, so any loss shows at once. It ends at the first doubt; whoever uses it makes another from where it stood.
 */
export class EntryConsumer {
  readonly #bus: NatsBus;
  readonly #stream: string;
  readonly #name: string;
  readonly #receiver: EntryReceiver;
  readonly #subscription: BusSubscription;
  readonly #inbox: string;
  readonly #check: NodeJS.Timeout;
  /** Resolves with the reason when it has ended. */
  readonly ended: Promise<string>;
  #end: (reason: string) => void = () => {};
  #hasEnded = false;
  #previous: number;
  #counter = 0;
  /** Entries that were asked for and have not come. */
  #outstanding = 0;
  #heardAt = performance.now();
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
   * @throws what the JetStream client throws, after about a second when nobody can create it.
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
      // It may be created after we have given up.
      consumers.delete(stream, name).catch(() => {});
      throw error;
    }
    return new EntryConsumer(bus, stream, name, after, receiver);
  }

  /** Asks for entries, if there is room and few are on their way. To be called when room was made, and to begin with. */
  resume(): void {
    this.#next(false);
  }

  /** Entries are fetched from time to time: there may be some that have not been asked for. */
  /** Sequence of the last entry that came; before the first, where the consumer began. */
  get last(): number {
    return this.#previous;
  }

  get isPolling(): boolean {
    return this.#isPolling;
  }

  /** Somebody waits for what is next. */
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

  /** @param isDrained the server has just said that there is nothing more. */
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
    this.#heardAt = performance.now();
    const delivery = parseAckSubject(message.reply ?? "");
    if (delivery === undefined) this.#onStatus(message.headers as HeaderBlock | undefined);
    else this.#onDelivery(message, delivery.streamSequence, delivery.consumerSequence);
  }

  #onDelivery(message: BusMessage, sequence: number, counter: number): void {
    if (counter !== this.#counter + 1 || sequence <= this.#previous) {
      this.stop("an entry was lost");
      return;
    }
    this.#counter = counter;
    this.#polled++;
    if (this.#outstanding > 0) this.#outstanding--;
    const previous = this.#previous;
    this.#previous = sequence;
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
        this.stop(headers?.description || "the consumer is gone");
    }
  }

  #checkSilence(): void {
    const now = performance.now();
    const isLate = now - this.#checkedAt > 2 * CHECK_MS;
    this.#checkedAt = now;
    // After a stall of our own, what came meanwhile is read after this timer.
    if (isLate || this.#outstanding === 0) this.#heardAt = Math.max(this.#heardAt, now - SILENT_AFTER_MS / 2);
    else if (now - this.#heardAt > SILENT_AFTER_MS) this.stop("no heartbeat");
  }
}

/** Entries that an ended request has not brought; the server says how many, unless there was none at all. */
function pendingOf(headers: HeaderBlock): number {
  const pending = headers.get("Nats-Pending-Messages");
  return pending === "" ? BATCH : Number(pending) || 0;
}
