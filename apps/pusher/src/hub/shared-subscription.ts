import { createHash } from "node:crypto";
import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import type { Position, Subjects } from "@fanwire/protocol";
import type { Connection, ProtocolName } from "../connections/connection.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { SmallSet } from "../connections/small-set.ts";
import type { Followed } from "../fanout/fanout.ts";
import { copiesGroupName, groupName, type ProtocolGroups } from "../fanout/subscriber-groups.ts";
import type { Subscriber } from "../history/frontier.ts";
import { Backlog } from "./live-backlog.ts";

/** A message that a subscription brought, with its position in the history if it is stored. */
export type Received = {
  readonly message: BusMessage;
  readonly position: Position | undefined;
  /** Counts up from 1 in the order of arrival over all subscriptions; 0: read from the history. */
  readonly arrival: number;
};

/** What a message costs in memory beside its content, about. */
const RECEIVED_BYTES = 500;
const TAG_DIGITS = 10;

/** What all of a worker share. */
export type SharedSubscriptionParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly groups: ProtocolGroups;
  /** Called with each message, in the order of arrival. */
  receive(subscription: SharedSubscription, message: BusMessage): void;
  readonly budget: MemoryBudget;
};

/**
 * What this worker listens to on NATS on behalf of its connections. There may be hundreds of thousands: what is rarely needed
 * is made when it is.
 */
export class SharedSubscription implements Followed, Subscriber {
  readonly groupId: number;
  readonly pattern: string | undefined;
  readonly kind: "everyone" | "user" | "topic";
  connectionIds: SmallSet<number>;
  /** Who alone follows and has joined: it is in no group. */
  only: Connection | undefined;
  /** Changes with the connections that have joined. */
  version = 0;
  readonly begunAt = Math.floor(performance.now());
  /** NATS has our subscription: what is published from now on comes. */
  isConfirmed = false;
  readonly subscription: BusSubscription;
  readonly #parts: SharedSubscriptionParts;
  /** One subject, not a pattern of them. */
  readonly isExact: boolean;
  #tag: string | undefined;
  #backlog: Backlog<Received> | undefined;
  #rawSubscribers = 0;
  #fanwireSubscribers = 0;
  #sseSubscribers = 0;

  constructor(key: string, groupId: number, parts: SharedSubscriptionParts) {
    const { subjects } = parts;
    const target = subjects.parseLive(key);
    this.groupId = groupId;
    this.pattern = target?.kind === "topic" ? target.topic : subjects.parseLiveTopics(key);
    this.kind = this.pattern !== undefined ? "topic" : target?.kind === "user" ? "user" : "everyone";
    this.isExact = target !== undefined;
    this.#parts = parts;
    this.subscription = parts.bus.subscribe(key, this);
  }

  /** The bus calls it with each message. */
  receive(message: BusMessage): void {
    this.#parts.receive(this, message);
  }

  /** The subject that is subscribed to. */
  get key(): string {
    return this.subscription.subject;
  }

  /** Orders the copies that several subscriptions bring of one publication, on each worker alike. Rarely needed. */
  get tag(): string {
    if (this.#tag !== undefined) return this.#tag;
    const number = createHash("sha256").update(this.key).digest().readUIntBE(0, 6) % 10 ** TAG_DIGITS;
    this.#tag = String(number).padStart(TAG_DIGITS, "0");
    return this.#tag;
  }

  get hasSubscribers(): boolean {
    return this.subscribers > 0;
  }

  get subscribers(): number {
    return this.#rawSubscribers + this.#fanwireSubscribers + this.#sseSubscribers;
  }

  subscribersBy(protocol: ProtocolName): number {
    switch (protocol) {
      case "raw":
        return this.#rawSubscribers;
      case "fanwire.v1":
        return this.#fanwireSubscribers;
      case "sse":
        return this.#sseSubscribers;
    }
  }

  addSubscriber(protocol: ProtocolName): void {
    this.#count(protocol, 1);
  }

  removeSubscriber(protocol: ProtocolName): void {
    this.#count(protocol, -1);
  }

  /**
   * From now on a connection that follows hears it. Most topics and users have one follower on a worker, which is written to by
   * itself: a group would be 400 bytes. There is one from the second follower on.
   */
  join(connection: Connection): void {
    this.version++;
    if (this.kind !== "everyone" && this.subscribers === 1) {
      this.only = connection;
      return;
    }
    if (this.only) this.#addToTree(this.only);
    this.only = undefined;
    this.#addToTree(connection);
  }

  /** Whether a connection has joined and hears it. */
  has(connection: Connection): boolean {
    const { protocol } = connection.getUserData();
    return this.only === connection || this.#parts.groups[protocol].has(this.#treeOf(connection), connection);
  }

  /** Those that have joined by protocols that have positions. */
  *joined(): Iterable<Connection> {
    if (this.only) yield this.only;
    const { groups } = this.#parts;
    for (const protocol of ["fanwire.v1", "sse"] as const) yield* groups[protocol].members(this.groupName(protocol));
    yield* groups.sse.members(this.copiesGroup);
  }

  leave(connection: Connection): void {
    this.version++;
    const { protocol } = connection.getUserData();
    if (this.only === connection) this.only = undefined;
    else this.#parts.groups[protocol].remove(this.#treeOf(connection), connection);
  }

  /** It has closed. */
  forget(connection: Connection): void {
    this.version++;
    const { protocol } = connection.getUserData();
    if (this.only === connection) this.only = undefined;
    else this.#parts.groups[protocol].forget(this.#treeOf(connection), connection);
  }

  /** In which those who have joined by a protocol hear it, when there are several. */
  groupName(protocol: ProtocolName): string {
    return groupName(protocol, this.groupId);
  }

  /** Of event streams that receive other copies too. */
  get copiesGroup(): string {
    return copiesGroupName(this.groupId);
  }

  #treeOf(connection: Connection): string {
    const { protocol, hasCopies } = connection.getUserData();
    return protocol === "sse" && hasCopies ? this.copiesGroup : this.groupName(protocol);
  }

  #addToTree(connection: Connection): void {
    const { protocol } = connection.getUserData();
    this.#parts.groups[protocol].add(this.#treeOf(connection), connection);
  }

  topicOf(message: BusMessage): string | undefined {
    if (this.isExact) return this.pattern;
    const target = this.#parts.subjects.parseLive(message.subject);
    return target?.kind === "topic" ? target.topic : undefined;
  }

  get isAwaited(): boolean {
    return this.#backlog !== undefined;
  }

  /** What came while connections wait; to be had until the last has called {@link leaveBacklog}. */
  get backlog(): Backlog<Received> {
    this.#backlog ??= new Backlog((evict) => this.#parts.budget.open(evict));
    return this.#backlog;
  }

  /** Keeps it for those who wait. */
  keep(received: Received): void {
    this.backlog.push(received, received.message.data.length + RECEIVED_BYTES);
  }

  /** Numbers of its own, where an object of them would be 48 bytes. */
  #count(protocol: ProtocolName, by: 1 | -1): void {
    switch (protocol) {
      case "raw":
        this.#rawSubscribers += by;
        return;
      case "fanwire.v1":
        this.#fanwireSubscribers += by;
        return;
      case "sse":
        this.#sseSubscribers += by;
    }
  }

  leaveBacklog(): void {
    this.#backlog?.removeReader();
    if (!this.#backlog?.isNeeded) this.#backlog = undefined;
  }
}
