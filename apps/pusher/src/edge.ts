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
  type Subjects,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { PusherConfig } from "./config.ts";
import type { Connection } from "./connection.ts";
import { Gate, type GateRefusal } from "./core/admission.ts";
import { type Grant, mayFollow } from "./core/claims.ts";
import { Connections } from "./core/connections.ts";
import { DRAIN_STEP_MS, drainBatchSize } from "./core/drain.ts";
import { Expiry } from "./core/expiry.ts";
import { countMembers, hasMember, membersOf, withMember, withoutMember } from "./core/few.ts";
import { Delivery } from "./delivery.ts";
import type { Listening } from "./listening.ts";
import { Listenings } from "./listenings.ts";
import { LogFollower } from "./log-follower.ts";
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
  readonly durable: History;
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
  readonly #delivery: Delivery;
  readonly #listenings: Listenings;
  readonly #expiryTimer: NodeJS.Timeout;
  readonly #follower: LogFollower<Listening>;
  readonly #receipts = new Receipts(this.#connections);
  #arrivals = 0;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
    const { config, bus, subjects, trees } = parts;
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
    this.#follower = this.#followLog(parts.durable);
    this.#listenings = new Listenings({
      bus,
      subjects,
      trees,
      receive: (listening, message) => this.#receive(listening, message),
      logStart: () => (this.#follower.epoch === undefined ? undefined : this.#follower.lastSequence),
    });
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

  get follower(): LogFollower<Listening> {
    return this.#follower;
  }

  /** Where the history stands now, as far as this worker knows; undefined where there is none. */
  get position(): string | undefined {
    const { epoch, lastSequence: sequence } = this.#follower;
    return epoch === undefined ? undefined : formatPosition({ epoch, sequence });
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

  /** From now on it hears what the key brings. */
  join(connection: Connection, listening: Listening): void {
    const { topics } = connection.getUserData();
    // It may have unfollowed while it waited.
    if (listening.pattern !== undefined && !hasMember(topics, listening.pattern)) return;
    this.#delivery.flushTo(connection);
    listening.join(connection);
  }

  /** What a connection hears: everyone, its user and its topics; undefined while it waits for what it missed of one. */
  heardBy(connection: Connection): Listening[] | undefined {
    const { grant, topics } = connection.getUserData();
    const followed = [...membersOf(topics)].map((pattern) => this.#listenings.ofTopic(pattern));
    if (grant.user !== undefined) followed.push(this.#listenings.ofUser(grant.user));
    const heard = [this.#listenings.everyone, ...followed.filter((listening) => listening !== undefined)];
    return heard.every((listening) => listening.has(connection)) ? heard : undefined;
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
    const listening = this.#listenings.followTopic(pattern, state.door);
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

  unfollow(connection: Connection, pattern: string): void {
    const state = connection.getUserData();
    if (!hasMember(state.topics, pattern)) return;
    state.topics = withoutMember(state.topics, pattern);
    state.applicationTopics = withoutMember(state.applicationTopics, pattern);
    this.#delivery.flushTo(connection);
    this.#listenings.ofTopic(pattern)?.leave(connection);
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

  /** Whether what is stored under a subject of the history, at a position, has come to all that is followed here and brings it. */
  hasServed(historySubject: string, { epoch, sequence }: Position): boolean {
    const target = this.#parts.subjects.parseHistory(historySubject);
    const listenings = target === undefined ? [] : this.#listenings.to(target);
    if (listenings.length > 0 && this.#follower.epoch !== epoch) return false;
    return listenings.every((listening) => listening.sequence.isPast(sequence));
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
    this.#follower.stop();
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
    this.#follower.receive(listening, message);
  }

  #deliver(listening: Listening, message: BusMessage, sequence: number | undefined): void {
    if (listening.isAwaited) {
      this.#arrivals++;
      listening.backlog.push({ message, sequence, arrival: this.#arrivals });
    }
    const { epoch } = this.#follower;
    const position = sequence === undefined || epoch === undefined ? undefined : formatPosition({ epoch, sequence });
    this.#delivery.toFollowers({ followed: listening, message, position });
  }

  #followLog(durable: History): LogFollower<Listening> {
    const { bus, subjects, traffic, log: logger } = this.#parts;
    const follower = new LogFollower<Listening>({
      bus,
      history: durable,
      subjects,
      logger,
      traffic,
      keys: () => this.#listenings.all(),
      keysOf: (target) => this.#listenings.to(target),
      isFollowed: (listening) => this.#listenings.has(listening),
      deliver: (listening, message, sequence) => this.#deliver(listening, message, sequence),
      broken: (listening) => this.#endFollowers(listening),
    });
    bus.onConnection((isConnected) => (isConnected ? follower.repairAll() : follower.hold()));
    return follower;
  }

  /** Who can come back to where it stands does so, and is told that it missed something. The raw door knows no such thing. */
  #endFollowers(listening: Listening): void {
    this.#parts.traffic.logBroken++;
    this.#parts.log.warn({ key: listening.key }, "the history does not hold all that was missed");
    for (const connection of [...this.#connections.all()]) {
      if (connection.getUserData().door === "raw" || !this.#follows(connection, listening)) continue;
      this.end(connection, closeCodes.publicationsMissed);
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
