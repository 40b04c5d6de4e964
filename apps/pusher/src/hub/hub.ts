import type { BusMessage } from "@fanwire/bus";
import { type CloseCode, closeCodes, formatConnectionAddress, formatPosition, type Position } from "@fanwire/protocol";
import { type Grant, mayBePresent, maySubscribe } from "@fanwire/tokens";
import { Gate, type GateRefusal } from "../connections/admission.ts";
import { closeConnection } from "../connections/close-connection.ts";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { countClosed, type EndedBy } from "../connections/counters.ts";
import { drainConnections } from "../connections/drain.ts";
import { hasMember, membersOf, withMember, withoutMember } from "../connections/small-set.ts";
import type { EventReporter } from "../events/event-reporter.ts";
import { Fanout } from "../fanout/fanout.ts";
import { ReceiptCounter } from "../fanout/receipt-counter.ts";
import type { Frontier } from "../history/frontier.ts";
import { Presence } from "../presence/presence.ts";
import { hasRoomFor } from "./has-room.ts";
import type { HubParts } from "./hub-parts.ts";
import { IncomingPublications } from "./incoming-publications.ts";
import { isLive } from "./is-live.ts";
import { markCopies } from "./mark-copies.ts";
import { MissedPublications } from "./missed-publications.ts";
import { receiveTargeted } from "./receive-targeted.ts";
import type { SharedSubscription } from "./shared-subscription.ts";
import { SharedSubscriptions } from "./shared-subscriptions.ts";
import { SlicedVisits } from "./sliced-visits.ts";
import { TokenExpiry } from "./token-expiry.ts";

/** The new subscription, whose delivery must be started, or why there is none. */
export type SubscribeOutcome = SharedSubscription | "already" | "forbidden" | "topic-limit";

/** Holds the connections of one worker and their subscriptions, for all protocols, and delivers what NATS sends. */
export class Hub {
  /** The members of topics, for all protocols. Connections leave when they unsubscribe or close. */
  readonly presence: Presence;
  readonly subscriptions: SharedSubscriptions;
  readonly #parts: HubParts;
  readonly #gate: Gate;
  readonly #connections: Connections<Connection>;
  readonly #expiry: TokenExpiry;
  readonly #visits: SlicedVisits;
  readonly #fanout: Fanout;
  readonly #incoming: IncomingPublications;
  readonly #receipts: ReceiptCounter;

  constructor(parts: HubParts) {
    this.#parts = parts;
    const { config, bus, subjects, connections } = parts;
    this.#connections = connections;
    this.#receipts = new ReceiptCounter(connections);
    const { connections: maxConnections, handshakesPerSecond } = config.limits;
    const now = () => performance.now();
    this.#gate = new Gate({ maxConnections, handshakesPerSecond, origins: config.allowedOrigins, now });
    this.#fanout = new Fanout({
      ...parts,
      flushMs: config.flushMs,
      maxUnsentBytes: config.limits.unsentBytes,
      receipts: this.#receipts,
    });
    this.presence = new Presence({ ...parts, fanout: this.#fanout, leaveMs: config.presenceLeaveMs });
    if (parts.events?.wantsMembers) this.presence.onLocalChange((change) => parts.events?.memberChanged(change));
    this.subscriptions = new SharedSubscriptions({
      ...parts,
      receive: (subscription, message) => this.#incoming.receive(subscription, message),
      onMisaddressed: () => {
        parts.counters.misaddressed++;
      },
    });
    this.#visits = new SlicedVisits(connections);
    const missed = new MissedPublications({
      ...parts,
      forEach: (all, act) => this.forEach(all, act),
      end: (connection, closeCode) => this.end(connection, closeCode),
    });
    this.#incoming = new IncomingPublications({
      ...parts,
      subscriptions: this.subscriptions,
      fanout: this.#fanout,
      missed: (subscriptions) => missed.end(subscriptions),
      restored: () => missed.end([...this.subscriptions.all()]),
    });
    const receive = (message: BusMessage) => receiveTargeted(message, parts.counters, this.#fanout);
    bus.subscribe(subjects.liveConnections(parts.workerId), receive);
    this.#expiry = new TokenExpiry((connectionIds) => this.#endExpired(connectionIds));
  }

  /** Reports events of the cluster; undefined when they are off. */
  get events(): EventReporter | undefined {
    return this.#parts.events;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** Number of shared subscriptions: distinct topics, patterns and users, and everyone. */
  get subscriptionCount(): number {
    return this.subscriptions.size;
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

  get receipts(): ReceiptCounter {
    return this.#receipts;
  }

  get isDraining(): boolean {
    return this.#gate.isDraining;
  }

  /** Admits a new connection, or returns why it is refused, and counts that. */
  admit(origin: string): GateRefusal | undefined {
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

  /** Registers a connection. Returns its subscriptions to everyone and to its user, whose delivery must be started. */
  open(connection: Connection): SharedSubscription[] {
    this.#fanout.flushTo(connection);
    const { connectionId, protocol, grant } = connection.getUserData();
    this.#connections.open(connectionId, connection);
    this.#parts.counters.accepted++;
    const all = protocol.skipsEveryone ? [] : [this.subscriptions.everyone];
    for (const everyone of all) everyone.addSubscriber(protocol);
    this.frontier.onSubscribe();
    this.#expiry.set(connectionId, grant.expiresAt);
    this.events?.connectionChanged("connection_opened", connection);
    this.#parts.traces.active?.opened(connection);
    const own = this.#subscribeUser(connection);
    return own === undefined ? all : [...all, own];
  }

  #subscribeUser(connection: Connection): SharedSubscription | undefined {
    const { connectionId, protocol, grant } = connection.getUserData();
    if (grant.user === undefined) return undefined;
    this.#fanout.flushTo(connection);
    const own = this.subscriptions.subscribeUser(grant.user, protocol);
    own.connectionIds = withMember(own.connectionIds, connectionId);
    this.frontier.onSubscribe();
    return own;
  }

  /** Starts delivery from a subscription to the connection. */
  startDelivery(connection: Connection, subscription: SharedSubscription): void {
    this.#fanout.flushTo(connection);
    this.#receipts.onStart(subscription, connection);
    subscription.startDelivery(connection);
  }

  /** Starts delivery at once, or when the connection has received the replay with which it began. */
  startDeliveryWhenLive: (connection: Connection, subscription: SharedSubscription) => void = (...all) =>
    this.startDelivery(...all);

  /** Calls `send` at once, or after the welcome of a connection that has none yet. */
  onceWelcomed: (connection: Connection, send: () => void) => void = (_, send) => send();

  /** Whether all subscriptions of a connection are live, so that none of them is being recovered. */
  isLive(connection: Connection): boolean {
    return isLive(connection, this.subscriptions);
  }

  /** Must be called once for each opened connection when it has closed. `reason` is text, perhaps in UTF-8. */
  close(connection: Connection, code: number, reason: string | ArrayBuffer): void {
    const { connectionId, protocol, grant, topics } = connection.getUserData();
    this.presence.close(connection);
    this.#connections.close(connectionId);
    this.#fanout.forget(connection);
    if (!protocol.skipsEveryone) {
      this.subscriptions.everyone.removeSubscriber(protocol);
      this.subscriptions.everyone.forget(connection);
    }
    if (grant.user !== undefined) {
      const own = this.subscriptions.unsubscribeUser(grant.user, protocol);
      own?.forget(connection);
      if (own) own.connectionIds = withoutMember(own.connectionIds, connectionId);
    }
    for (const pattern of membersOf(topics)) {
      const subscription = this.subscriptions.unsubscribeTopic(pattern, protocol);
      subscription?.forget(connection);
      this.onSubscribers(pattern, subscription?.subscribers ?? 0);
    }
    this.#expiry.clear(connectionId, grant.expiresAt);
    countClosed(this.#parts.counters, code, protocol.closing?.codes);
    this.events?.connectionChanged("connection_closed", connection, code);
    this.#parts.traces.active?.closed(connection, code, reason);
  }

  /** Subscribes a connection to a topic or pattern if its grant allows that. Its delivery must be started. */
  subscribe(connection: Connection, pattern: string): SubscribeOutcome {
    return maySubscribe(connection.getUserData().grant, pattern)
      ? this.#subscribeUnchecked(connection, pattern)
      : "forbidden";
  }

  /** Subscribes a connection without regard to its grant. */
  #subscribeUnchecked(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const state = connection.getUserData();
    if (hasMember(state.topics, pattern)) return "already";
    if (!hasRoomFor(connection, pattern, this.presence, this.#parts.config.limits.topics)) {
      this.#parts.counters.topicLimits++;
      return "topic-limit";
    }
    this.#fanout.flushTo(connection);
    markCopies(connection, pattern, { subscriptions: this.subscriptions, presence: this.presence });
    const subscription = this.subscriptions.subscribeTopic(pattern, state.protocol);
    this.frontier.onSubscribe();
    // All subscribers share one string, instead of each keeping the one it sent.
    state.topics = withMember(state.topics, subscription.pattern ?? pattern);
    this.#parts.traces.active?.subscriptionChanged(connection, "subscribed", pattern);
    this.onSubscribers(pattern, subscription.subscribers);
    return subscription;
  }

  /** Subscribes a connection for the application, regardless of its grant now and after a refresh. */
  subscribeForApplication(connection: Connection, pattern: string): Exclude<SubscribeOutcome, "forbidden"> {
    const outcome = this.#subscribeUnchecked(connection, pattern);
    const state = connection.getUserData();
    const shared = this.subscriptions.ofTopic(pattern)?.pattern ?? pattern;
    if (outcome !== "topic-limit") state.applicationTopics = withMember(state.applicationTopics, shared);
    return outcome;
  }

  /** Stops delivery from a subscription that the connection has. It must be started again. */
  pause(connection: Connection, topic: string): SharedSubscription | undefined {
    const subscription = this.subscriptions.ofTopic(topic);
    if (subscription === undefined) return undefined;
    this.#fanout.flushTo(connection);
    subscription.stopDelivery(connection);
    this.onUnsubscribe(connection, subscription);
    return subscription;
  }

  /** Called when the number of this worker's subscribers of a topic or pattern has changed. */
  onSubscribers: (pattern: string, subscribers: number) => void = () => {};

  /** Called when a subscription of a connection ends, perhaps before its delivery has started. */
  onUnsubscribe: (connection: Connection, subscription: SharedSubscription) => void = () => {};

  unsubscribe(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    this.presence.leave(connection, pattern);
    if (!hasMember(state.topics, pattern)) return;
    state.topics = withoutMember(state.topics, pattern);
    state.applicationTopics = withoutMember(state.applicationTopics, pattern);
    this.#parts.traces.active?.subscriptionChanged(connection, "unsubscribed", pattern);
    this.#fanout.flushTo(connection);
    const subscription = this.subscriptions.ofTopic(pattern);
    if (subscription === undefined) return;
    subscription.stopDelivery(connection);
    this.onUnsubscribe(connection, subscription);
    this.subscriptions.unsubscribeTopic(pattern, state.protocol);
    this.onSubscribers(pattern, subscription.subscribers);
  }

  /** Unsubscribes a connection for the application, and informs its client, which has not asked for that. */
  unsubscribeForApplication(connection: Connection, pattern: string): void {
    const { topics, protocol } = connection.getUserData();
    const wasSubscribed = hasMember(topics, pattern);
    this.unsubscribe(connection, pattern);
    const message = protocol.encodeUnsubscribed?.(pattern);
    if (wasSubscribed && message !== undefined) this.onceWelcomed(connection, () => connection.send(message));
  }

  /**
   * Replaces the grant. Unsubscribes from the topics that the new grant does not allow, unless the application
   * subscribed to them, and returns them. Also ends presence where the new grant does not allow it, and returns these
   * topics as `presenceDropped`. `user` is the subscription to the user if only the new grant has one. Its delivery
   * must be started.
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
    return { dropped, presenceDropped, user };
  }

  /**
   * Gives a connection the user whom its application has confirmed. Returns its subscription to the user, whose
   * delivery must be started.
   */
  bindUser(connection: Connection, user: string): SharedSubscription | undefined {
    const state = connection.getUserData();
    if (state.grant.user !== undefined) return undefined;
    state.grant = { ...state.grant, user };
    return this.#subscribeUser(connection);
  }

  connection(connectionId: number): Connection | undefined {
    return this.#connections.get(connectionId);
  }

  connectionsOfUser(user: string): Connection[] {
    const own = this.subscriptions.ofUser(user);
    return [...membersOf(own?.connectionIds)].flatMap((id) => this.#connections.get(id) ?? []);
  }

  /** Calls `act` over several ticks for each connection that is still open then. Resolves with their number. */
  forEach(connections: readonly Connection[], act: (connection: Connection) => void): Promise<number> {
    const ids = connections.map((connection) => connection.getUserData().connectionId);
    return this.#visits.each(ids, act);
  }

  /** Tokens of thousands of connections may expire at the full hour. */
  #endExpired(connectionIds: readonly number[]): void {
    void this.#visits.each(connectionIds, (connection) => {
      const { expiresAt } = connection.getUserData().grant;
      // The client may have refreshed its token meanwhile.
      if (expiresAt !== undefined && expiresAt <= Date.now()) this.end(connection, closeCodes.tokenExpired);
    });
  }

  /**
   * Whether every subscription has received what is stored up to a position. A worker without subscriptions must
   * have read it too, because clients that subscribe later start at its frontier.
   */
  hasDelivered(position: Position): boolean {
    return this.frontier.hasDelivered(position);
  }

  /** Returns the bytes that the socket of a connection holds, and those that wait for it in this process. */
  unsentBytesOf(connection: Connection): number {
    return connection.getBufferedAmount() + this.#fanout.waitingFor(connection);
  }

  /** Writes the publications that wait for the end of the flush delay. */
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

  /** Closes a connection with a code, or with its protocol's equivalent. */
  end(connection: Connection, closeCode: CloseCode): void {
    this.#fanout.flushTo(connection);
    closeConnection(connection, closeCode);
  }

  /** Closes a connection that has exceeded a limit, without a close frame. */
  drop(connection: Connection, limit: EndedBy): void {
    this.#parts.counters.ended[limit]++;
    this.#parts.traces.active?.dropping(connection, limit);
    connection.close();
  }

  /** Refuses new connections and closes the open ones evenly over `drainMs`. Resolves when none is left. */
  async drain(drainMs: number): Promise<void> {
    this.#gate.drain();
    await drainConnections(this.#connections, drainMs, (connection) => this.end(connection, closeCodes.draining));
    // Tokens expire during a drain too.
    this.#expiry.stop();
  }
}
