import { createHash } from "node:crypto";
import type { Bus, BusMessage, BusSubscription } from "@fanwire/bus";
import type { Position, Subjects } from "@fanwire/protocol";
import type { Connection, Door } from "./connection.ts";
import { Backlog } from "./core/backlog.ts";
import type { Few } from "./core/few.ts";
import type { MemoryBudget } from "./core/memory-budget.ts";
import type { Followed } from "./delivery.ts";
import type { Subscriber } from "./history/frontier.ts";
import { copiesTreeName, type DoorTrees, treeName } from "./trees.ts";

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
export type ListeningParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly trees: DoorTrees;
  /** Called with each message, in the order of arrival. */
  receive(listening: Listening, message: BusMessage): void;
  readonly budget: MemoryBudget;
};

/**
 * What this worker listens to on NATS on behalf of its connections. There may be hundreds of thousands: what is rarely needed
 * is made when it is.
 */
export class Listening implements Followed, Subscriber {
  readonly treeId: number;
  readonly pattern: string | undefined;
  readonly kind: "everyone" | "user" | "topic";
  connectionIds: Few<number>;
  /** Who alone follows and has joined: it is in no tree. */
  only: Connection | undefined;
  /** Changes with the connections that have joined. */
  version = 0;
  readonly begunAt = Math.floor(performance.now());
  /** NATS has our subscription: what is published from now on comes. */
  isHeard = false;
  readonly subscription: BusSubscription;
  readonly #parts: ListeningParts;
  /** One subject, not a pattern of them. */
  readonly isExact: boolean;
  #tag: string | undefined;
  #backlog: Backlog<Received> | undefined;
  #rawFollowers = 0;
  #fanwireFollowers = 0;
  #sseFollowers = 0;

  constructor(key: string, treeId: number, parts: ListeningParts) {
    const { subjects } = parts;
    const target = subjects.parseLive(key);
    this.treeId = treeId;
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

  get isFollowed(): boolean {
    return this.followers > 0;
  }

  get followers(): number {
    return this.#rawFollowers + this.#fanwireFollowers + this.#sseFollowers;
  }

  followersBy(door: Door): number {
    switch (door) {
      case "raw":
        return this.#rawFollowers;
      case "fanwire.v1":
        return this.#fanwireFollowers;
      case "sse":
        return this.#sseFollowers;
    }
  }

  addFollower(door: Door): void {
    this.#count(door, 1);
  }

  removeFollower(door: Door): void {
    this.#count(door, -1);
  }

  /**
   * From now on a connection that follows hears it. Most topics and users have one follower on a worker, which is written to by
   * itself: a tree would be 400 bytes. There is one from the second follower on.
   */
  join(connection: Connection): void {
    this.version++;
    if (this.kind !== "everyone" && this.followers === 1) {
      this.only = connection;
      return;
    }
    if (this.only) this.#addToTree(this.only);
    this.only = undefined;
    this.#addToTree(connection);
  }

  /** Whether a connection has joined and hears it. */
  has(connection: Connection): boolean {
    const { door } = connection.getUserData();
    return this.only === connection || this.#parts.trees[door].has(this.#treeOf(connection), connection);
  }

  /** Those that have joined by protocols that have positions. */
  *joined(): Iterable<Connection> {
    if (this.only) yield this.only;
    const { trees } = this.#parts;
    for (const door of ["fanwire.v1", "sse"] as const) yield* trees[door].members(this.treeName(door));
    yield* trees.sse.members(this.copiesTree);
  }

  leave(connection: Connection): void {
    this.version++;
    const { door } = connection.getUserData();
    if (this.only === connection) this.only = undefined;
    else this.#parts.trees[door].remove(this.#treeOf(connection), connection);
  }

  /** It has closed. */
  forget(connection: Connection): void {
    this.version++;
    const { door } = connection.getUserData();
    if (this.only === connection) this.only = undefined;
    else this.#parts.trees[door].forget(this.#treeOf(connection), connection);
  }

  /** In which those who have joined by a door hear it, when there are several. */
  treeName(door: Door): string {
    return treeName(door, this.treeId);
  }

  /** Of event streams that receive other copies too. */
  get copiesTree(): string {
    return copiesTreeName(this.treeId);
  }

  #treeOf(connection: Connection): string {
    const { door, hasCopies } = connection.getUserData();
    return door === "sse" && hasCopies ? this.copiesTree : this.treeName(door);
  }

  #addToTree(connection: Connection): void {
    const { door } = connection.getUserData();
    this.#parts.trees[door].add(this.#treeOf(connection), connection);
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
  #count(door: Door, by: 1 | -1): void {
    switch (door) {
      case "raw":
        this.#rawFollowers += by;
        return;
      case "fanwire.v1":
        this.#fanwireFollowers += by;
        return;
      case "sse":
        this.#sseFollowers += by;
    }
  }

  leaveBacklog(): void {
    this.#backlog?.leave();
    if (!this.#backlog?.isNeeded) this.#backlog = undefined;
  }
}
