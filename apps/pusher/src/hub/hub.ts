import type { Bus, BusMessage, History } from "@fanwire/bus";
import {
  type CloseCode,
  type ConnectionDescription,
  closeCodes,
  formatConnectionAddress,
  formatPosition,
  type Position,
  parseConnectionId,
  patternsOverlap,
  type Subjects,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { type Grant, mayBePresent, maySubscribe } from "../auth/grant.ts";
import type { PusherConfig } from "../config.ts";
import { Gate, type GateRefusal } from "../connections/admission.ts";
import type { ClientProtocol } from "../connections/client-protocol.ts";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { type Counters, countClosed, type EndedBy } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { countMembers, hasMember, membersOf, withMember, withoutMember } from "../connections/small-set.ts";
import { Fanout } from "../fanout/fanout.ts";
import { Receipts } from "../fanout/receipt-counter.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import type { Frontier } from "../history/frontier.ts";
import { Presence } from "../presence/presence.ts";
import { countSubscribers } from "./count-subscribers.ts";
import { drainConnections } from "./drain-connections.ts";
import { IncomingPublications } from "./incoming-publications.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import { SharedSubscriptions } from "./shared-subscriptions.ts";
import { TokenExpiry } from "./token-expiry.ts";

type HubParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly protocols: readonly ClientProtocol[];
  readonly connections: Connections<Connection>;
  readonly groups: ProtocolGroups;
  readonly history: History;
  readonly budget: MemoryBudget;
  readonly log: Log;
};

/** The new subscription, which the connection has to join, or why there is none. */
export type SubscribeOutcome = SharedSubscription | "already" | "forbidden" | "topic-limit";

/** The connections of one worker and their subscriptions, which all its protocols share. Delivers to them what NATS sends. */
export class Hub {
  /** The members of topics, for all protocols. Connections leave when they unsubscribe or close. */
  readonly presence: Presence;
  readonly #parts: HubParts;
  readonly #gate: Gate;
  readonly #connections: Connections<Connection>;
  readonly #expiry: TokenExpiry;
  readonly #fanout: Fanout;
  readonly #subscriptions: SharedSubscriptions;
  readonly #incoming: IncomingPublications;
  readonly #receipts: Receipts;

  constructor(parts: HubParts) {
    this.#parts = parts;
    const { config, bus, subjects, connections } = parts;
    this.#connections = connections;
    this.#receipts = new Receipts(connections);
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
      receipts: this.#receipts,
    });
    this.presence = new Presence({ ...parts, fanout: this.#fanout, leaveMs: config.presenceLeaveMs });
    this.#subscriptions = new SharedSubscriptions({
      ...parts,
      receive: (subscription, message) => this.#incoming.receive(subscription, message),
      skip: () => {
        parts.counters.misaddressed++;
      },
    });
    this.#incoming = new IncomingPublications({
      ...parts,
      subscriptions: this.#subscriptions,
      fanout: this.#fanout,
      missed: (subscriptions) => this.#endSubscribers(subscriptions),
    });
    bus.subscribe(subjects.liveConnections(parts.workerId), (message) => this.#onTargeted(message));
    this.#expiry = new TokenExpiry((connectionId) => {
      const connection = this.#connections.get(connectionId);
      if (connection) this.end(connection, closeCodes.tokenExpired);
    });
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** Number of shared subscriptions: distinct topics, patterns and users, and everyone. */
  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  get slowConsumers(): number {
    return this.#fanout.slowConsumers;
  }

  get slowConsumerBytes(): number {
    return this.#fanout.slowConsumerBytes;
  }

  get frontier(): Frontier<SharedSubscription> {
    return this.#incoming.frontier;
  }

  /** The position of every live connection; undefined without a history. */
  get position(): string | undefined {
    const { position } = this.frontier;
    return position && formatPosition(position);
  }

  get receipts(): Receipts {
    return this.#receipts;
  }

  get isDraining(): boolean {
    return this.#gate.isDraining;
  }

  /** Returns why a new connection is refused, and counts that; undefined if it is admitted. */
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
    const { connectionId } = connection.getUserData();
    return formatConnectionAddress({ workerId: this.#parts.workerId, connectionId });
  }

  /** Registers a connection. Returns its subscriptions to everyone and to its user, which it has to join. */
  open(connection: Connection): SharedSubscription[] {
    this.#fanout.flushTo(connection);
    const { connectionId, protocol, grant } = connection.getUserData();
    this.#connections.open(connectionId, connection);
    this.#parts.counters.accepted++;
    this.#subscriptions.everyone.addSubscriber(protocol);
    this.frontier.onSubscribe();
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

  /** Starts delivery from a subscription to the connection. */
  join(connection: Connection, subscription: SharedSubscription): void {
    this.#fanout.flushTo(connection);
    subscription.join(connection);
  }

  /** Whether a connection has joined all its subscriptions, so that none of them is being recovered. */
  isLive(connection: Connection): boolean {
    const { grant, topics } = connection.getUserData();
    const isJoined = (subscription: SharedSubscription | undefined) => subscription?.has(connection) ?? false;
    if (!isJoined(this.#subscriptions.everyone)) return false;
    if (grant.user !== undefined && !isJoined(this.#subscriptions.ofUser(grant.user))) return false;
    for (const pattern of membersOf(topics)) if (!isJoined(this.#subscriptions.ofTopic(pattern))) return false;
    return true;
  }

  /** Must be called once for each opened connection when it has closed. */
  close(connection: Connection, code: number): void {
    const { connectionId, protocol, grant, topics } = connection.getUserData();
    this.presence.close(connection);
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

  /** Subscribes a connection to a topic or pattern if its grant allows that. The connection has to join the subscription. */
  subscribe(connection: Connection, pattern: string): SubscribeOutcome {
    return maySubscribe(connection.getUserData().grant, pattern)
      ? this.subscribeUnchecked(connection, pattern)
      : "forbidden";
  }

  /** Subscribes a connection without regard to its grant. */
  subscribeUnchecked(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const state = connection.getUserData();
    if (hasMember(state.topics, pattern)) return "already";
    if (countMembers(state.topics) >= this.#parts.config.limits.topics) {
      this.#parts.counters.topicLimits++;
      return "topic-limit";
    }
    this.#fanout.flushTo(connection);
    this.#markCopies(connection, pattern);
    const subscription = this.#subscriptions.subscribeTopic(pattern, state.protocol);
    this.frontier.onSubscribe();
    // All subscribers share one string, instead of each keeping the one it sent.
    state.topics = withMember(state.topics, subscription.pattern ?? pattern);
    return subscription;
  }

  /** Subscribes a connection for the application, regardless of its grant now and after a refresh. */
  subscribeForApplication(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const outcome = this.subscribeUnchecked(connection, pattern);
    const state = connection.getUserData();
    const shared = this.#subscriptions.ofTopic(pattern)?.pattern ?? pattern;
    if (outcome !== "topic-limit") state.applicationTopics = withMember(state.applicationTopics, shared);
    return outcome;
  }

  /** Moves a connection with overlapping subscriptions to other groups, if its protocol encodes copies in another way. */
  #markCopies(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (state.hasCopies || state.protocol.encodings.length === 1) return;
    const others = [...membersOf(state.topics)];
    if (!others.some((other) => patternsOverlap(other, pattern))) return;
    const ofUser = state.grant.user === undefined ? undefined : this.#subscriptions.ofUser(state.grant.user);
    const all = [this.#subscriptions.everyone, ofUser, ...others.map((other) => this.#subscriptions.ofTopic(other))];
    const moved = all.flatMap((subscription) => (subscription?.has(connection) ? subscription : []));
    for (const subscription of moved) subscription.leave(connection);
    this.presence.moveGroups(connection, () => {
      state.hasCopies = true;
    });
    for (const subscription of moved) subscription.join(connection);
  }

  /** Called when a connection unsubscribes, perhaps before it has joined. */
  onUnsubscribe: (connection: Connection, subscription: SharedSubscription) => void = () => {};

  unsubscribe(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    this.presence.leave(connection, pattern);
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
   * Replaces the grant. Unsubscribes from the topics that the new grant does not allow, unless the application subscribed
   * to them, and returns them. The same for topics on which it does not allow presence. `user` is a subscription that the
   * connection has to join, if only the new grant has a user.
   */
  replaceGrant(
    connection: Connection,
    grant: Grant,
  ): {
    readonly dropped: string[];
    readonly presenceDropped: string[];
    readonly user: SharedSubscription | undefined;
  } {
    const state = connection.getUserData();
    const isNewUser = state.grant.user === undefined;
    this.#expiry.clear(state.connectionId, state.grant.expiresAt);
    state.grant = grant;
    this.#expiry.set(state.connectionId, grant.expiresAt);
    const own = [...membersOf(state.topics)].filter((pattern) => !hasMember(state.applicationTopics, pattern));
    const dropped = own.filter((pattern) => !maySubscribe(grant, pattern));
    for (const pattern of dropped) this.unsubscribe(connection, pattern);
    const presenceDropped = this.presence.leaveUnless(connection, (topic) => mayBePresent(grant, topic));
    const user = isNewUser ? this.#subscribeUser(connection) : undefined;
    if (user !== undefined) this.frontier.onSubscribe();
    return { dropped, presenceDropped, user };
  }

  connection(connectionId: number): Connection | undefined {
    return this.#connections.get(connectionId);
  }

  connectionsOfUser(user: string): Connection[] {
    const own = this.#subscriptions.ofUser(user);
    return [...membersOf(own?.connectionIds)].flatMap((id) => this.#connections.get(id) ?? []);
  }

  countSubscribers(topic: string): number {
    return countSubscribers(this.#connections.all(), topic);
  }

  /** Whether every subscription that matches a history subject has received the publication at this position. */
  hasDelivered(historySubject: string, position: Position): boolean {
    return this.frontier.hasDelivered(position) || this.#subscriptions.toStored(historySubject).length === 0;
  }

  describe(connection: Connection): ConnectionDescription {
    const { protocol, openedAt, grant, topics } = connection.getUserData();
    return {
      address: this.addressOf(connection),
      protocol: protocol.name,
      ...(grant.user !== undefined && { user: grant.user }),
      topics: [...membersOf(topics)],
      remoteAddress: Buffer.from(connection.getRemoteAddressAsText()).toString("latin1"),
      openedAt: new Date(openedAt * 1_000).toISOString(),
      unsentBytes: connection.getBufferedAmount() + this.#fanout.waitingFor(connection),
    };
  }

  /** Writes the publications that wait for the end of the flush window. */
  flush(): void {
    this.#fanout.flush();
  }

  /** Must be called before a connection is sent anything that must not overtake publications. */
  flushTo(connection: Connection): void {
    this.#fanout.flushTo(connection);
  }

  /** Must be called when uWebSockets.js has written what it buffered for a connection. */
  drained(connection: Connection): void {
    this.#fanout.drained(connection);
  }

  end(connection: Connection, { code, reason }: CloseCode): void {
    this.#fanout.flushTo(connection);
    connection.end(code, reason);
  }

  /** Closes a connection that has exceeded a limit, without a close frame. */
  drop(connection: Connection, limit: EndedBy): void {
    this.#parts.counters.ended[limit]++;
    connection.close();
  }

  /** Refuses new connections and closes the open ones evenly over `drainMs`. Resolves when none is left. */
  async drain(drainMs: number): Promise<void> {
    this.#gate.drain();
    await drainConnections(this.#connections, drainMs, (connection) => this.end(connection, closeCodes.draining));
    // Tokens expire during a drain too.
    this.#expiry.stop();
  }

  /** Closes the subscribers that can resume, so that they learn of the gap. */
  #endSubscribers(subscriptions: readonly SharedSubscription[]): void {
    this.#parts.counters.historyMissed += subscriptions.length;
    this.#parts.log.warn(
      { subscriptions: subscriptions.map(({ key }) => key).slice(0, 10) },
      "missed publications are no longer stored",
    );
    for (const connection of [...this.#connections.all()]) {
      if (!connection.getUserData().protocol.canResume) continue;
      if (subscriptions.some((subscription) => this.#isSubscribed(connection, subscription))) {
        this.end(connection, closeCodes.publicationsMissed);
      }
    }
  }

  #isSubscribed(connection: Connection, subscription: SharedSubscription): boolean {
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
}
