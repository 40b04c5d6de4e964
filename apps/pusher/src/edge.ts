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
import { CommonConnections } from "./common-connections.ts";
import type { PusherConfig } from "./config.ts";
import type { Connection } from "./connection.ts";
import { Gate, type GateRefusal } from "./core/admission.ts";
import { type Grant, mayFollow } from "./core/claims.ts";
import { Connections } from "./core/connections.ts";
import { DRAIN_STEP_MS, drainBatchSize } from "./core/drain.ts";
import { Expiry } from "./core/expiry.ts";
import { countMembers, hasMember, membersOf, withMember, withoutMember } from "./core/few.ts";
import type { MemoryBudget } from "./core/memory-budget.ts";
import { Delivery, type PlaceInHistory } from "./delivery.ts";
import { Frontier } from "./history/frontier.ts";
import type { Listening } from "./listening.ts";
import { Listenings } from "./listenings.ts";
import { Receipts } from "./receipts.ts";
import { countClosed, type Traffic } from "./traffic.ts";
import type { DoorTrees } from "./trees.ts";

const EXPIRY_CHECK_MS = 1_000;

type EdgeParts = {
  readonly config: PusherConfig;
  readonly workerId: string;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly traffic: Traffic;
  readonly trees: DoorTrees;
  readonly history: History;
  readonly budget: MemoryBudget;
  readonly log: Log;
};

/** What is followed now, to be joined; or why not. */
export type FollowOutcome = Listening | "already" | "forbidden" | "topic-limit";

/** What the doors of one worker share: who is connected, what they follow, and what NATS sends for them. */
export class Edge {
  readonly #parts: EdgeParts;
  readonly #gate: Gate;
  readonly #connections = new Connections<Connection>();
  readonly #expiry = new Expiry();
  readonly #common = new CommonConnections();
  readonly #delivery: Delivery;
  readonly #listenings: Listenings;
  readonly #expiryTimer: NodeJS.Timeout;
  readonly #frontier: Frontier<Listening>;
  readonly #receipts = new Receipts(this.#connections);
  #arrivals = 0;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
    const { config, bus, subjects } = parts;
    this.#gate = new Gate({
      maxConnections: config.limits.connections,
      handshakesPerSecond: config.limits.handshakesPerSecond,
      origins: config.allowedOrigins,
      now: () => performance.now(),
    });
    this.#delivery = new Delivery({
      ...parts,
      flushMs: config.flushMs,
      maxUnsentBytes: config.limits.unsentBytes,
      connections: this.#connections,
      receipts: this.#receipts,
    });
    this.#listenings = new Listenings({
      ...parts,
      receive: (listening, message) => this.#receive(listening, message),
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
  get listeningTo(): number {
    return this.#listenings.size;
  }

  /** Connections that cannot take a burst as fast as it comes. */
  get lagging(): number {
    return this.#delivery.lagging;
  }

  /** Bytes kept for them. */
  get laggingBytes(): number {
    return this.#delivery.laggingBytes;
  }

  get frontier(): Frontier<Listening> {
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
    this.#parts.traffic.refused[admission.reason]++;
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
  open(connection: Connection): Listening[] {
    this.#delivery.flushTo(connection);
    const { connectionId, door, grant } = connection.getUserData();
    this.#connections.open(connectionId, connection);
    this.#parts.traffic.accepted++;
    this.#listenings.everyone.addFollower(door);
    this.#frontier.hurry();
    this.#expiry.set(connectionId, grant.expiresAt);
    const own = this.#followUser(connection);
    return own === undefined ? [this.#listenings.everyone] : [this.#listenings.everyone, own];
  }

  #followUser(connection: Connection): Listening | undefined {
    const { connectionId, door, grant } = connection.getUserData();
    if (grant.user === undefined) return undefined;
    this.#delivery.flushTo(connection);
    const own = this.#listenings.followUser(grant.user, door);
    own.connectionIds = withMember(own.connectionIds, connectionId);
    return own;
  }

  /** From now on it receives what the subscription brings. */
  join(connection: Connection, listening: Listening): void {
    this.#delivery.flushTo(connection);
    listening.join(connection);
  }

  /** Whether a connection receives all that it is subscribed to, and does not wait for what it missed of something. */
  isLive(connection: Connection): boolean {
    const { grant, topics } = connection.getUserData();
    const isJoined = (listening: Listening | undefined) => listening?.has(connection) ?? false;
    if (!isJoined(this.#listenings.everyone)) return false;
    if (grant.user !== undefined && !isJoined(this.#listenings.ofUser(grant.user))) return false;
    for (const pattern of membersOf(topics)) if (!isJoined(this.#listenings.ofTopic(pattern))) return false;
    return true;
  }

  /** To be called when a connection has closed, for whatever reason. */
  close(connection: Connection, code: number): void {
    const { connectionId, door, grant, topics } = connection.getUserData();
    this.#connections.close(connectionId);
    this.#delivery.forget(connection);
    this.#listenings.everyone.removeFollower(door);
    this.#listenings.everyone.forget(connection);
    if (grant.user !== undefined) {
      const own = this.#listenings.unfollowUser(grant.user, door);
      own?.forget(connection);
      if (own) own.connectionIds = withoutMember(own.connectionIds, connectionId);
    }
    for (const pattern of membersOf(topics)) this.#listenings.unfollowTopic(pattern, door)?.forget(connection);
    this.#expiry.clear(connectionId, grant.expiresAt);
    countClosed(this.#parts.traffic, code);
  }

  /** Follows a topic or pattern, if the connection's grant allows it, and hears it once it joins. */
  follow(connection: Connection, pattern: string): FollowOutcome {
    return mayFollow(connection.getUserData().grant, pattern) ? this.followUnasked(connection, pattern) : "forbidden";
  }

  /** Whatever the grant says. */
  followUnasked(connection: Connection, pattern: string): Exclude<FollowOutcome, "forbidden"> {
    const state = connection.getUserData();
    if (hasMember(state.topics, pattern)) return "already";
    if (countMembers(state.topics) >= this.#parts.config.limits.topics) {
      this.#parts.traffic.topicLimits++;
      return "topic-limit";
    }
    this.#delivery.flushTo(connection);
    this.#noteCopies(connection, pattern);
    const listening = this.#listenings.followTopic(pattern, state.door);
    this.#frontier.hurry();
    // Not the client's own string: one for all who follow it.
    state.topics = withMember(state.topics, listening.pattern ?? pattern);
    return listening;
  }

  /** Follows what the application wants, whatever the grant says now or after a refresh. */
  followForApplication(connection: Connection, pattern: string): Exclude<FollowOutcome, "forbidden"> {
    const followed = this.followUnasked(connection, pattern);
    const state = connection.getUserData();
    const shared = this.#listenings.ofTopic(pattern)?.pattern ?? pattern;
    if (followed !== "topic-limit") state.applicationTopics = withMember(state.applicationTopics, shared);
    return followed;
  }

  /** From the first overlap on, an event stream needs ids that tell copies apart: it changes the groups it is in. */
  #noteCopies(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (state.hasCopies || state.door !== "sse") return;
    const others = [...membersOf(state.topics)];
    if (!others.some((other) => patternsOverlap(other, pattern))) return;
    const joined = others.flatMap((other) => this.#listenings.ofTopic(other) ?? []);
    if (state.grant.user !== undefined) joined.push(...[this.#listenings.ofUser(state.grant.user) ?? []].flat());
    const moved = [this.#listenings.everyone, ...joined].filter((listening) => listening.has(connection));
    for (const listening of moved) listening.leave(connection);
    state.hasCopies = true;
    for (const listening of moved) listening.join(connection);
  }

  /** Called when a connection no longer wants something that it may still wait for. */
  onUnfollow: (connection: Connection, listening: Listening) => void = () => {};

  unfollow(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (!hasMember(state.topics, pattern)) return;
    state.topics = withoutMember(state.topics, pattern);
    state.applicationTopics = withoutMember(state.applicationTopics, pattern);
    this.#delivery.flushTo(connection);
    const listening = this.#listenings.ofTopic(pattern);
    if (listening === undefined) return;
    listening.leave(connection);
    this.onUnfollow(connection, listening);
    this.#listenings.unfollowTopic(pattern, state.door);
  }

  /**
   * Replaces the token. Unsubscribes from topics the new token does not allow, unless the application subscribed to them, and returns them.
   * A connection without a user may get one: then `user` is what it joins next.
   */
  regrant(connection: Connection, grant: Grant): { readonly dropped: string[]; readonly user: Listening | undefined } {
    const state = connection.getUserData();
    const isNewUser = state.grant.user === undefined;
    this.#expiry.clear(state.connectionId, state.grant.expiresAt);
    state.grant = grant;
    this.#expiry.set(state.connectionId, grant.expiresAt);
    const own = [...membersOf(state.topics)].filter((pattern) => !hasMember(state.applicationTopics, pattern));
    const dropped = own.filter((pattern) => !mayFollow(grant, pattern));
    for (const pattern of dropped) this.unfollow(connection, pattern);
    return { dropped, user: isNewUser ? this.#followUser(connection) : undefined };
  }

  connection(connectionId: number): Connection | undefined {
    return this.#connections.get(connectionId);
  }

  connectionsOfUser(user: string): Connection[] {
    const own = this.#listenings.ofUser(user);
    return [...membersOf(own?.connectionIds)].flatMap((id) => this.#connections.get(id) ?? []);
  }

  /** Connections that a publication to `topic` reaches, once each. */
  countFollowers(topic: string): number {
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
    return this.#frontier.hasDelivered(position) || this.#listenings.toStored(historySubject).length === 0;
  }

  describe(connection: Connection): ConnectionDescription {
    const { door, openedAt, grant, topics } = connection.getUserData();
    return {
      address: this.addressOf(connection),
      door,
      ...(grant.user !== undefined && { user: grant.user }),
      topics: [...membersOf(topics)],
      remoteAddress: Buffer.from(connection.getRemoteAddressAsText()).toString("latin1"),
      openedAt: new Date(openedAt * 1_000).toISOString(),
      unsentBytes: connection.getBufferedAmount() + this.#delivery.waitingFor(connection),
    };
  }

  /** Writes the publications that wait for others to come, so that they are counted. */
  flush(): void {
    this.#delivery.flush();
  }

  /** To be called before a connection is sent what must not overtake publications. */
  flushTo(connection: Connection): void {
    this.#delivery.flushTo(connection);
  }

  /** To be called when what uWebSockets.js kept for a connection was written. */
  drained(connection: Connection): void {
    this.#delivery.drained(connection);
  }

  end(connection: Connection, { code, reason }: CloseCode): void {
    this.#delivery.flushTo(connection);
    connection.end(code, reason);
  }

  /** It holds as many unsent bytes as it may. */
  endSlow(connection: Connection): void {
    this.#parts.traffic.ended["unsent-bytes"]++;
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

  #receive(listening: Listening, message: BusMessage): void {
    this.#parts.traffic.publications[listening.kind]++;
    const place = message.headers && this.#frontier.placeOf(message);
    if (place === undefined) this.#deliver(listening, message, undefined);
    else this.#frontier.receive(place, message);
  }

  #deliver(listening: Listening, message: BusMessage, place: PlaceInHistory | undefined): void {
    if (listening.isAwaited) {
      this.#arrivals++;
      listening.keep({ message, position: place && parsePosition(place.position), arrival: this.#arrivals });
    }
    this.#delivery.toFollowers({ followed: listening, message, place });
  }

  #openFrontier(): Frontier<Listening> {
    return new Frontier<Listening>({
      ...this.#parts,
      subscribersTo: (subject) => this.#listenings.toStored(subject),
      allSubscribers: () => this.#listenings.all(),
      haveCommon: (one, other) => this.#common.have(one, other),
      deliver: (listening, message, place) => this.#deliver(listening, message, place),
      missed: (listenings) => this.#endFollowers(listenings),
      isCongested: () => this.#delivery.isCongested,
    });
  }

  /** A client that can resume does so, and is told that it missed something. The raw protocol has no means for that. */
  #endFollowers(listenings: readonly Listening[]): void {
    this.#parts.traffic.historyMissed += listenings.length;
    this.#parts.log.warn(
      { subscriptions: listenings.map(({ key }) => key).slice(0, 10) },
      "publications missed for good",
    );
    for (const connection of [...this.#connections.all()]) {
      if (connection.getUserData().door === "raw") continue;
      if (listenings.some((listening) => this.#follows(connection, listening))) {
        this.end(connection, closeCodes.publicationsMissed);
      }
    }
  }

  #follows(connection: Connection, listening: Listening): boolean {
    const { topics, connectionId } = connection.getUserData();
    if (listening.pattern !== undefined) return hasMember(topics, listening.pattern);
    return listening.kind === "everyone" || hasMember(listening.connectionIds, connectionId);
  }

  #onTargeted(message: BusMessage): void {
    const { traffic } = this.#parts;
    traffic.publications.connection++;
    const connectionId = parseConnectionId(message.subject.slice(message.subject.lastIndexOf(".") + 1));
    const outcome = connectionId === undefined ? "gone" : this.#delivery.toConnection(connectionId, message);
    message.respond(JSON.stringify({ outcome }));
  }

  #endExpired(): void {
    for (const connectionId of this.#expiry.take(Date.now())) {
      const connection = this.#connections.get(connectionId);
      if (connection) this.end(connection, closeCodes.tokenExpired);
    }
  }
}
