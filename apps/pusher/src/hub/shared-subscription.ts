import { createHash } from "node:crypto";
import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import type { Position, Subjects } from "@fanwire/protocol";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { SmallSet } from "../connections/small-set.ts";
import type { EventReporter } from "../events/event-reporter.ts";
import type { LocalSubscription } from "../fanout/local-subscription.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import type { OrderedSubscription } from "../history/frontier-parts.ts";
import { Backlog, type Reader } from "./live-backlog.ts";

/** A message that a subscription received, with its position in the history if it is stored. */
export type Received = {
  readonly message: BusMessage;
  readonly position: Position | undefined;
  /** Counts up from 1 in the order of arrival over all subscriptions. 0 if the message was read from the history. */
  readonly arrival: number;
};

/** Approximate bytes of memory that a message takes beside its content and headers. */
const RECEIVED_BYTES = 500;
const TAG_DIGITS = 10;

/** Parts that all subscriptions of a worker share. */
export type SharedSubscriptionParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly protocols: readonly ClientProtocol[];
  readonly groups: ProtocolGroups;
  /** Called with each message, in the order of arrival. */
  receive(subscription: SharedSubscription, message: BusMessage): void;
  /**
   * Called with each message to a subject that belongs to no target, for example a restricted topic in the branch of
   * the others.
   */
  onMisaddressed(): void;
  readonly budget: MemoryBudget;
  /** Undefined without events of the cluster. */
  readonly events?: EventReporter | undefined;
};

/**
 * One NATS subscription of this worker for all its connections that are subscribed to the same topic, pattern or user.
 * There may be hundreds of thousands, so rarely used state is created on demand.
 */
export class SharedSubscription implements LocalSubscription, OrderedSubscription {
  readonly groupId: number;
  readonly pattern: string | undefined;
  readonly kind: "everyone" | "user" | "topic";
  connectionIds: SmallSet<number>;
  soleSubscriber: Connection | undefined;
  /** Changes when delivery to a connection starts or stops. */
  version = 0;
  readonly begunAt = Math.floor(performance.now());
  /** Whether NATS has confirmed the subscription, so that no later publication is missed. */
  isConfirmed = false;
  readonly subscription: BusSubscription;
  readonly #parts: SharedSubscriptionParts;
  /** Whether it is one subject, not a pattern. */
  readonly isExact: boolean;
  #tag: string | undefined;
  #backlog: Backlog<Received> | undefined;
  /** The protocol of the first subscriber. Most subscriptions need no other, and fields take less memory than a map. */
  #firstProtocol: ClientProtocol | undefined;
  #firstSubscribers = 0;
  #otherSubscribers: Map<ClientProtocol, number> | undefined;

  constructor(subject: string, groupId: number, parts: SharedSubscriptionParts) {
    const { subjects } = parts;
    const target = subjects.parseLive(subject);
    this.groupId = groupId;
    this.pattern = target?.kind === "topic" ? target.topic : subjects.parseLiveTopics(subject);
    this.kind = this.pattern !== undefined ? "topic" : target?.kind === "user" ? "user" : "everyone";
    this.isExact = target !== undefined;
    this.#parts = parts;
    this.subscription = parts.bus.subscribe(subject, this);
  }

  /** Called by the bus with each message. */
  receive(message: BusMessage): void {
    if (!this.isExact && this.topicOf(message) === undefined) this.#parts.onMisaddressed();
    else this.#parts.receive(this, message);
  }

  /** The NATS subject. */
  get subject(): string {
    return this.subscription.subject;
  }

  /**
   * Orders the copies that several subscriptions receive of one publication, in the same way on each worker. Rarely
   * needed.
   */
  get tag(): string {
    if (this.#tag !== undefined) return this.#tag;
    const number = createHash("sha256").update(this.subject).digest().readUIntBE(0, 6) % 10 ** TAG_DIGITS;
    this.#tag = String(number).padStart(TAG_DIGITS, "0");
    return this.#tag;
  }

  get user(): string | undefined {
    if (this.kind !== "user") return undefined;
    const target = this.#parts.subjects.parseLive(this.subject);
    return target?.kind === "user" ? target.user : undefined;
  }

  get hasSubscribers(): boolean {
    return this.subscribers > 0;
  }

  get subscribers(): number {
    let count = this.#firstSubscribers;
    if (this.#otherSubscribers) for (const others of this.#otherSubscribers.values()) count += others;
    return count;
  }

  subscribersBy(protocol: ClientProtocol): number {
    if (protocol === this.#firstProtocol) return this.#firstSubscribers;
    return this.#otherSubscribers?.get(protocol) ?? 0;
  }

  addSubscriber(protocol: ClientProtocol): void {
    this.#firstProtocol ??= protocol;
    this.#count(protocol, 1);
  }

  removeSubscriber(protocol: ClientProtocol): void {
    this.#count(protocol, -1);
  }

  #count(protocol: ClientProtocol, by: 1 | -1): void {
    if (protocol === this.#firstProtocol) {
      this.#firstSubscribers += by;
      return;
    }
    this.#otherSubscribers ??= new Map();
    this.#otherSubscribers.set(protocol, this.subscribersBy(protocol) + by);
  }

  /**
   * Makes a subscribed connection receive publications. Most topics and users have one subscriber on a worker, which is
   * written to directly, because a group takes 400 bytes. The second subscriber opens the group.
   */
  startDelivery(connection: Connection): void {
    this.version++;
    if (this.kind !== "everyone" && this.subscribers === 1) {
      this.soleSubscriber = connection;
      return;
    }
    if (this.soleSubscriber) this.#addToGroup(this.soleSubscriber);
    this.soleSubscriber = undefined;
    this.#addToGroup(connection);
  }

  #addToGroup(connection: Connection): void {
    this.#parts.groups.of(connection).add(this.groupId, connection);
  }

  has(connection: Connection): boolean {
    return this.soleSubscriber === connection || this.#parts.groups.of(connection).has(this.groupId, connection);
  }

  /** Returns the live connections that have positions. */
  *resumableConnections(): Iterable<Connection> {
    if (this.soleSubscriber?.getUserData().protocol.canResume) yield this.soleSubscriber;
    const { protocols, groups } = this.#parts;
    for (const protocol of protocols) {
      if (!protocol.canResume || this.subscribersBy(protocol) === 0) continue;
      for (const encoding of protocol.encodings) yield* groups.ofEncoding(encoding).members(this.groupId);
    }
  }

  stopDelivery(connection: Connection): void {
    this.version++;
    if (this.soleSubscriber === connection) this.soleSubscriber = undefined;
    else this.#parts.groups.of(connection).remove(this.groupId, connection);
  }

  /** Removes a connection that has closed. */
  forget(connection: Connection): void {
    this.version++;
    if (this.soleSubscriber === connection) this.soleSubscriber = undefined;
    else this.#parts.groups.of(connection).forget(this.groupId, connection);
  }

  topicOf(message: BusMessage): string | undefined {
    if (this.isExact) return this.pattern;
    const target = this.#parts.subjects.parseLive(message.subject);
    return target?.kind === "topic" ? target.topic : undefined;
  }

  get hasWaitingSubscribers(): boolean {
    return this.#backlog !== undefined;
  }

  /**
   * The messages that were received while connections wait. Available until the last of them calls {@link
   * leaveBacklog}.
   */
  get backlog(): Backlog<Received> {
    this.#backlog ??= new Backlog((evict) => this.#parts.budget.open(evict));
    return this.#backlog;
  }

  /** Keeps a message for connections that wait. */
  keep(received: Received): void {
    const { data, headers } = received.message;
    this.backlog.push(received, data.length + (headers?.bytes ?? 0) + RECEIVED_BYTES);
  }

  /** The connections that wait. */
  get waiting(): Iterable<Reader> {
    return this.#backlog?.readers ?? [];
  }

  leaveBacklog(reader: Reader): void {
    this.#backlog?.removeReader(reader);
    if (!this.#backlog?.isNeeded) this.#backlog = undefined;
  }
}
