import type { Bus, BusMessage, History } from "@fanwire/bus";
import {
  type CloseCode,
  type ConnectionDescription,
  closeCodes,
  formatConnectionAddress,
  formatPosition,
  matchesTopic,
  type Position,
  parseConnectionId,
  parsePosition,
  patternsOverlap,
  type Subjects,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type Grant, maySubscribe } from "../auth/grant.ts";
import type { PusherConfig } from "../config.ts";
import { Gate, type GateRefusal } from "../connections/admission.ts";
import type { Connection } from "../connections/connection.ts";
import { Connections } from "../connections/connections.ts";
import { type Counters, countClosed } from "../connections/counters.ts";
import { DRAIN_STEP_MS, drainBatchSize } from "../connections/drain.ts";
import { Expiry } from "../connections/expiry.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { countMembers, hasMember, membersOf, withMember, withoutMember } from "../connections/small-set.ts";
import { Fanout, type PlaceInHistory } from "../fanout/fanout.ts";
import { Receipts } from "../fanout/receipt-counter.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import { Frontier } from "../history/frontier.ts";
import { CommonConnections } from "./common-connections.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import { SharedSubscriptions } from "./shared-subscriptions.ts";

const EXPIRY_CHECK_MS = 1_000;

type HubParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly groups: ProtocolGroups;
  readonly history: History;
  readonly budget: MemoryBudget;
  readonly log: Log;
};

/** What is followed now, to be joined; or why not. */
export type SubscribeOutcome = SharedSubscription | "already" | "forbidden" | "topic-limit";

/** What the protocols of one worker share: who is connected, what they follow, and what NATS sends for them. */
export class Hub {
  readonly #parts: HubParts;
  readonly #gate: Gate;
  readonly #connections = new Connections<Connection>();
  readonly #expiry = new Expiry();
  readonly #common = new CommonConnections();
  readonly #fanout: Fanout;
  readonly #subscriptions: SharedSubscriptions;
  readonly #expiryTimer: NodeJS.Timeout;
  readonly #frontier: Frontier<SharedSubscription>;
  readonly #receipts = new Receipts(this.#connections);
  #arrivals = 0;

  constructor(parts: HubParts) {
    this.#parts = parts;
    const { config, bus, subjects } = parts;
    this.#gate = new Gate({
      maxConnections: config.limits.connections,
      handshakesPerSecond: config.limits.handshakesPerSecond,
      origins: config.allowedOrigins,
      now: () => performance.now(),
    });
    this.#fanout = new Fanout({
      ...parts,
      flushMs: config.flushMs,
      maxUnsentBytes: config.limits.unsentBytes,
      connections: this.#connections,
      receipts: this.#receipts,
    });
    this.#subscriptions = new SharedSubscriptions({
      ...parts,
      receive: (subscription, message) => this.#receive(subscription, message),
    });
    this.#frontier = this.#openFrontier();
    // Its own connections a worker always hears, whoever is there.
    bus.subscribe(subjects.liveConnections(parts.workerId), (message) => this.#onTargeted(message));
    this.#expiryTimer = setInterval(() => this.#endExpired(), EXPIRY_CHECK_MS);
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** Distinct topics, patterns and users listened to on NATS, and everyone. */
  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Connections that cannot take a burst as fast as it comes. */
  get slowConsumers(): number {
    return this.#fanout.slowConsumers;
  }

  /** Bytes kept for them. */
  get slowConsumerBytes(): number {
    return this.#fanout.slowConsumerBytes;
  }

  get frontier(): Frontier<SharedSubscription> {
    return this.#frontier;
  }

  /** The position of every connection that is live; undefined where there is no history. */
  get position(): string | undefined {
    const { position } = this.#frontier;
    return position && formatPosition(position);
  }

  get receipts(): Receipts {
    return this.#receipts;
  }

  get isDraining(): boolean {
    return this.#gate.isDraining;
  }

  /** Undefined: come in. Refusals are counted. */
  refusal(origin: string): GateRefusal | undefined {
    const admission = this.#gate.admit(origin, this.#connections.size);
    if (admission.ok) return undefined;
    this.#parts.counters.refused[admission.reason]++;
    return admission.reason;
  }

  nextConnectionId(): number {
    return this.#connections.nextId();
  }

  addressOf(connection: Connection): string {
    return formatConnectionAddress({
      workerId: this.#parts.workerId,
      connectionId: connection.getUserData().connectionId,
    });
  }

  /** From now on it hears itself, and everyone and its user once it joins them. */
  open(connection: Connection): SharedSubscription[] {
    this.#fanout.flushTo(connection);
    const { connectionId, protocol, grant } = connection.getUserData();
    this.#connections.open(connectionId, connection);
    this.#parts.counters.accepted++;
    this.#subscriptions.everyone.addSubscriber(protocol);
    this.#frontier.hurry();
    this.#expiry.set(connectionId, grant.expiresAt);
    const own = this.#subscribeUser(connection);
    return own === undefined ? [this.#subscriptions.everyone] : [this.#subscriptions.everyone, own];
  }

  #subscribeUser(connection: Connection): SharedSubscription | undefined {
    const { connectionId, protocol, grant } = connection.getUserData();
    if (grant.user === undefined) return undefined;
    this.#fanout.flushTo(connection);
    const own = this.#subscriptions.subscribeUser(grant.user, protocol);
    own.connectionIds = withMember(own.connectionIds, connectionId);
    return own;
  }

  /** From now on it receives what the subscription brings. */
  join(connection: Connection, subscription: SharedSubscription): void {
    this.#fanout.flushTo(connection);
    subscription.join(connection);
  }

  /** Whether a connection receives all that it is subscribed to, and does not wait for what it missed of something. */
  isLive(connection: Connection): boolean {
    const { grant, topics } = connection.getUserData();
    const isJoined = (subscription: SharedSubscription | undefined) => subscription?.has(connection) ?? false;
    if (!isJoined(this.#subscriptions.everyone)) return false;
    if (grant.user !== undefined && !isJoined(this.#subscriptions.ofUser(grant.user))) return false;
    for (const pattern of membersOf(topics)) if (!isJoined(this.#subscriptions.ofTopic(pattern))) return false;
    return true;
  }

  /** To be called when a connection has closed, for whatever reason. */
  close(connection: Connection, code: number): void {
    const { connectionId, protocol, grant, topics } = connection.getUserData();
    this.#connections.close(connectionId);
    this.#fanout.forget(connection);
    this.#subscriptions.everyone.removeSubscriber(protocol);
    this.#subscriptions.everyone.forget(connection);
    if (grant.user !== undefined) {
      const own = this.#subscriptions.unsubscribeUser(grant.user, protocol);
      own?.forget(connection);
      if (own) own.connectionIds = withoutMember(own.connectionIds, connectionId);
    }
    for (const pattern of membersOf(topics))
      this.#subscriptions.unsubscribeTopic(pattern, protocol)?.forget(connection);
    this.#expiry.clear(connectionId, grant.expiresAt);
    countClosed(this.#parts.counters, code);
  }

  /** Follows a topic or pattern, if the connection's grant allows it, and hears it once it joins. */
  subscribe(connection: Connection, pattern: string): SubscribeOutcome {
    return maySubscribe(connection.getUserData().grant, pattern)
      ? this.subscribeUnchecked(connection, pattern)
      : "forbidden";
  }

  /** Whatever the grant says. */
  subscribeUnchecked(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const state = connection.getUserData();
    if (hasMember(state.topics, pattern)) return "already";
    if (countMembers(state.topics) >= this.#parts.config.limits.topics) {
      this.#parts.counters.topicLimits++;
      return "topic-limit";
    }
    this.#fanout.flushTo(connection);
    this.#noteCopies(connection, pattern);
    const subscription = this.#subscriptions.subscribeTopic(pattern, state.protocol);
    this.#frontier.hurry();
    // Not the client's own string: one for all who follow it.
    state.topics = withMember(state.topics, subscription.pattern ?? pattern);
    return subscription;
  }

  /** Follows what the application wants, whatever the grant says now or after a refresh. */
  subscribeForApplication(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const followed = this.subscribeUnchecked(connection, pattern);
    const state = connection.getUserData();
    const shared = this.#subscriptions.ofTopic(pattern)?.pattern ?? pattern;
    if (followed !== "topic-limit") state.applicationTopics = withMember(state.applicationTopics, shared);
    return followed;
  }

  /** From the first overlap on, an event stream needs ids that tell copies apart: it changes the groups it is in. */
  #noteCopies(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (state.hasCopies || state.protocol !== "sse") return;
    const others = [...membersOf(state.topics)];
    if (!others.some((other) => patternsOverlap(other, pattern))) return;
    const joined = others.flatMap((other) => this.#subscriptions.ofTopic(other) ?? []);
    if (state.grant.user !== undefined) joined.push(...[this.#subscriptions.ofUser(state.grant.user) ?? []].flat());
    const moved = [this.#subscriptions.everyone, ...joined].filter((subscription) => subscription.has(connection));
    for (const subscription of moved) subscription.leave(connection);
    state.hasCopies = true;
    for (const subscription of moved) subscription.join(connection);
  }

  /** Called when a connection no longer wants something that it may still wait for. */
  onUnsubscribe: (connection: Connection, subscription: SharedSubscription) => void = () => {};

  unsubscribe(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (!hasMember(state.topics, pattern)) return;
    state.topics = withoutMember(state.topics, pattern);
    state.applicationTopics = withoutMember(state.applicationTopics, pattern);
    this.#fanout.flushTo(connection);
    const subscription = this.#subscriptions.ofTopic(pattern);
    if (subscription === undefined) return;
    subscription.leave(connection);
    this.onUnsubscribe(connection, subscription);
    this.#subscriptions.unsubscribeTopic(pattern, state.protocol);
  }

  /**
   * Replaces the token. Unsubscribes from topics the new token does not allow, unless the application subscribed to them, and returns them.
   * A connection without a user may get one: then `user` is what it joins next.
   */
  regrant(
    connection: Connection,
    grant: Grant,
  ): { readonly dropped: string[]; readonly user: SharedSubscription | undefined } {
    const state = connection.getUserData();
    const isNewUser = state.grant.user === undefined;
    this.#expiry.clear(state.connectionId, state.grant.expiresAt);
    state.grant = grant;
    this.#expiry.set(state.connectionId, grant.expiresAt);
    const own = [...membersOf(state.topics)].filter((pattern) => !hasMember(state.applicationTopics, pattern));
    const dropped = own.filter((pattern) => !maySubscribe(grant, pattern));
    for (const pattern of dropped) this.unsubscribe(connection, pattern);
    return { dropped, user: isNewUser ? this.#subscribeUser(connection) : undefined };
  }

  connection(connectionId: number): Connection | undefined {
    return this.#connections.get(connectionId);
  }

  connectionsOfUser(user: string): Connection[] {
    const own = this.#subscriptions.ofUser(user);
    return [...membersOf(own?.connectionIds)].flatMap((id) => this.#connections.get(id) ?? []);
  }

  /** Connections that a publication to `topic` reaches, once each. */
  countSubscribers(topic: string): number {
    let count = 0;
    for (const connection of this.#connections.all()) {
      for (const pattern of membersOf(connection.getUserData().topics)) {
        if (!matchesTopic(pattern, topic)) continue;
        count++;
        break;
      }
    }
    return count;
  }

  /** Whether every subscription here that matches a history subject has received the publication at this position. */
  hasServed(historySubject: string, position: Position): boolean {
    return this.#frontier.hasDelivered(position) || this.#subscriptions.toStored(historySubject).length === 0;
  }

  describe(connection: Connection): ConnectionDescription {
    const { protocol, openedAt, grant, topics } = connection.getUserData();
    return {
      address: this.addressOf(connection),
      protocol,
      ...(grant.user !== undefined && { user: grant.user }),
      topics: [...membersOf(topics)],
      remoteAddress: Buffer.from(connection.getRemoteAddressAsText()).toString("latin1"),
      openedAt: new Date(openedAt * 1_000).toISOString(),
      unsentBytes: connection.getBufferedAmount() + this.#fanout.waitingFor(connection),
    };
  }

  /** Writes the publications that wait for others to come, so that they are counted. */
  flush(): void {
    this.#fanout.flush();
  }

  /** To be called before a connection is sent what must not overtake publications. */
  flushTo(connection: Connection): void {
    this.#fanout.flushTo(connection);
  }

  /** To be called when what uWebSockets.js kept for a connection was written. */
  drained(connection: Connection): void {
    this.#fanout.drained(connection);
  }

  end(connection: Connection, { code, reason }: CloseCode): void {
    this.#fanout.flushTo(connection);
    connection.end(code, reason);
  }

  /** It holds as many unsent bytes as it may. */
  endSlow(connection: Connection): void {
    this.#parts.counters.ended["unsent-bytes"]++;
    connection.close();
  }

  /** Refuses newcomers and closes all connections evenly over `drainMs`. Resolves when none is left. */
  async drain(drainMs: number): Promise<void> {
    this.#gate.drain();
    const deadline = performance.now() + drainMs;
    while (this.#connections.size > 0) {
      const batchSize = drainBatchSize(this.#connections.size, deadline - performance.now());
      for (const connection of this.#connections.oldest(batchSize)) this.end(connection, closeCodes.draining);
      if (this.#connections.size > 0) await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
    }
    // Not sooner: tokens expire during a drain too.
    clearInterval(this.#expiryTimer);
  }

  #receive(subscription: SharedSubscription, message: BusMessage): void {
    this.#parts.counters.publications[subscription.kind]++;
    const place = message.headers && this.#frontier.placeOf(message);
    if (place === undefined) this.#deliver(subscription, message, undefined);
    else this.#frontier.receive(place, message);
  }

  #deliver(subscription: SharedSubscription, message: BusMessage, place: PlaceInHistory | undefined): void {
    if (subscription.isAwaited) {
      this.#arrivals++;
      subscription.keep({ message, position: place && parsePosition(place.position), arrival: this.#arrivals });
    }
    this.#fanout.toSubscribers({ followed: subscription, message, place });
  }

  #openFrontier(): Frontier<SharedSubscription> {
    return new Frontier<SharedSubscription>({
      ...this.#parts,
      subscribersTo: (subject) => this.#subscriptions.toStored(subject),
      allSubscribers: () => this.#subscriptions.all(),
      haveCommon: (one, other) => this.#common.have(one, other),
      deliver: (subscription, message, place) => this.#deliver(subscription, message, place),
      missed: (subscriptions) => this.#endFollowers(subscriptions),
      isCongested: () => this.#fanout.isCongested,
    });
  }

  /** A client that can resume does so, and is told that it missed something. The raw protocol has no means for that. */
  #endFollowers(subscriptions: readonly SharedSubscription[]): void {
    this.#parts.counters.historyMissed += subscriptions.length;
    this.#parts.log.warn(
      { subscriptions: subscriptions.map(({ key }) => key).slice(0, 10) },
      "publications missed for good",
    );
    for (const connection of [...this.#connections.all()]) {
      if (connection.getUserData().protocol === "raw") continue;
      if (subscriptions.some((subscription) => this.#follows(connection, subscription))) {
        this.end(connection, closeCodes.publicationsMissed);
      }
    }
  }

  #follows(connection: Connection, subscription: SharedSubscription): boolean {
    const { topics, connectionId } = connection.getUserData();
    if (subscription.pattern !== undefined) return hasMember(topics, subscription.pattern);
    return subscription.kind === "everyone" || hasMember(subscription.connectionIds, connectionId);
  }

  #onTargeted(message: BusMessage): void {
    const { counters } = this.#parts;
    counters.publications.connection++;
    const connectionId = parseConnectionId(message.subject.slice(message.subject.lastIndexOf(".") + 1));
    const outcome = connectionId === undefined ? "gone" : this.#fanout.toConnection(connectionId, message);
    message.respond(JSON.stringify({ outcome }));
  }

  #endExpired(): void {
    for (const connectionId of this.#expiry.take(Date.now())) {
      const connection = this.#connections.get(connectionId);
      if (connection) this.end(connection, closeCodes.tokenExpired);
    }
  }
}
