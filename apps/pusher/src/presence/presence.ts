import type { Bus } from "@fanwire/bus";
import type { Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Fanout } from "../fanout/fanout.ts";
import type { ProtocolGroups } from "../fanout/subscriber-groups.ts";
import { ChangeGroups } from "./change-groups.ts";
import { ClusterMembers } from "./cluster-members.ts";
import { HeldLeaves } from "./held-leaves.ts";
import { LimitedJoins } from "./limited-joins.ts";
import type { LocalChange, LocalMember, Member, MemberList } from "./members.ts";
import { type Join, type JoinOptions, type JoinOutcome, type JoinRefusal, PresentTopic } from "./present-topic.ts";
import { TopicFlusher } from "./topic-flusher.ts";
import { TopicView } from "./topic-view.ts";

export type {
  LocalChange,
  LocalMember,
  Member,
  MemberList,
  PresenceChange,
} from "./members.ts";
export type { JoinOptions, JoinOutcome, JoinRefusal } from "./present-topic.ts";

const CHECK_EVERY_MS = 100;
/** A check later than this shows that this process was stopped. */
const STOPPED_MS = 1_000;
/** Maximum wait for the answers of other workers, for example of one that was killed a moment ago. */
const LOAD_WITHIN_MS = 2_000;
/** Maximum approximate bytes of all members that this worker knows. Above it, connections cannot join. */
const MAX_BYTES = 268_435_456;

type PresenceParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly workerId: string;
  readonly groups: ProtocolGroups;
  readonly fanout: Fanout;
  /** Time for which a member without connections is still shown. */
  readonly leaveMs: number;
  readonly log: Log;
};

/** The members of topics: users with a connection, to any worker, that has joined the topic with presence. */
export class Presence {
  readonly #parts: PresenceParts;
  readonly #topics = new Map<string, PresentTopic>();
  readonly #joins = new Map<Connection, Map<string, Join>>();
  readonly #cluster: ClusterMembers;
  readonly #leaves: HeldLeaves<TopicView>;
  readonly #flushes: TopicFlusher;
  readonly #limited: LimitedJoins;
  readonly #listeners: ((change: LocalChange) => void)[] = [];
  readonly #timer: NodeJS.Timeout;
  #checkedAt = performance.now();
  #lastGroupId = 0;
  #bytes = 0;
  #refused = 0;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#leaves = new HeldLeaves(parts.leaveMs);
    this.#flushes = new TopicFlusher({ ...parts, onRefused: (join) => this.#end(join) });
    this.#cluster = new ClusterMembers({
      ...parts,
      topics: this.#topics,
      onLoaded: (topic) => this.#onLoaded(topic),
      onFenced: (joins) => this.#limited.decide(joins),
    });
    this.#limited = new LimitedJoins({
      fence: (join) => this.#cluster.fence(join),
      updateLocal: (topic, user) => this.#updateLocal(topic, user),
      makeMember: (join) => this.#makeMember(join),
      refuse: (join) => {
        this.#refuse(join, "limit");
        this.#advance(join);
      },
    });
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  /** Must be called when all connections are closed. */
  stop(): void {
    clearInterval(this.#timer);
    this.#cluster.stop();
  }

  /** Numbers for metrics. `members` counts a user once for each topic, on this worker only. */
  get stats() {
    let members = 0;
    for (const { locals } of this.#topics.values()) members += locals.size;
    const { asks, gaps, others: workers } = this.#cluster;
    const bytes = { bytes: this.#bytes, maxBytes: MAX_BYTES };
    return { topics: this.#topics.size, members, ...bytes, refused: this.#refused, asks, gaps, workers };
  }

  /**
   * Makes the user of a connection a member. `onOutcome` is called once, in a later tick, when this worker knows the
   * members on all workers. From that tick on the connection receives changes, unless it is held. It is never called
   * after the connection has left or closed. A connection that has joined already gets a new outcome, and its member
   * stays as it is.
   */
  join(
    connection: Connection,
    topic: string,
    member: Member,
    options: JoinOptions,
    onOutcome: (outcome: JoinOutcome) => void,
  ): void {
    const join = this.#joins.get(connection)?.get(topic) ?? this.#open(connection, topic, member);
    join.waiting.push({ options, onOutcome });
    join.topic.needsAllChanges ||= options.isListWhole ?? false;
    this.#advance(join);
  }

  /** Returns the current list for a connection that joined held. From this call on it receives changes. */
  release(connection: Connection, topic: string, isListWhole = false): MemberList | undefined {
    const join = this.#joins.get(connection)?.get(topic);
    if (!join?.hasJoined) return undefined;
    this.#flushes.addToGroup(join);
    return join.topic.view.list(isListWhole);
  }

  /** Does nothing if the connection has not joined. */
  leave(connection: Connection, topic: string): void {
    const join = this.#joins.get(connection)?.get(topic);
    if (join === undefined) return;
    if (join.group) join.topic.groups.remove(connection, join.group);
    const { waiting } = join;
    this.#end(join);
    for (const { options } of waiting) options.onLeave?.();
  }

  /** Must be called when a connection has closed. */
  close(connection: Connection): void {
    for (const join of this.#joins.get(connection)?.values() ?? []) {
      if (join.group) join.topic.groups.forget(connection, join.group);
      this.#end(join);
    }
  }

  /** Leaves the topics for which `mayStay` returns false, and returns them. */
  leaveUnless(connection: Connection, mayStay: (topic: string) => boolean): string[] {
    const topics = [...(this.#joins.get(connection)?.keys() ?? [])].filter((topic) => !mayStay(topic));
    for (const topic of topics) this.leave(connection, topic);
    return topics;
  }

  /** Returns the topics that a connection has joined, or is joining. */
  topicsOf(connection: Connection): Iterable<string> {
    return this.#joins.get(connection)?.keys() ?? [];
  }

  /** Returns the members with connections to this worker, in no order. They may change during the iteration. */
  members(topic: string): Iterable<LocalMember> {
    return this.#topics.get(topic)?.locals.members() ?? [];
  }

  /** Returns the number of {@link members}. */
  countMembers(topic: string): number {
    return this.#topics.get(topic)?.locals.size ?? 0;
  }

  /** Returns the member that a connection is on a topic. Undefined until the outcome of its join. */
  isMember(connection: Connection, topic: string): Member | undefined {
    const join = this.#joins.get(connection)?.get(topic);
    return join?.hasJoined ? join.member : undefined;
  }

  /** Calls `listener` with each change of this worker's connections, in the tick of the change. */
  onLocalChange(listener: (change: LocalChange) => void): void {
    this.#listeners.push(listener);
  }

  /** Moves a connection to the groups of another encoding, which `change` gives it. */
  moveGroups(connection: Connection, change: () => void): void {
    const { groups } = this.#parts;
    const ids = [...(this.#joins.get(connection)?.values() ?? [])].flatMap(({ group }) => group?.id ?? []);
    for (const id of ids) groups.of(connection).remove(id, connection);
    change();
    for (const id of ids) groups.of(connection).add(id, connection);
  }

  #open(connection: Connection, name: string, member: Member): Join {
    const topic = this.#topics.get(name) ?? this.#openTopic(name);
    const join: Join = {
      connection,
      connectionId: connection.getUserData().connectionId,
      topic,
      member,
      waiting: [],
      claimed: undefined,
      isRegistered: false,
      isConfirmed: false,
      refusal: undefined,
      hasJoined: false,
      group: undefined,
    };
    topic.joins.add(join);
    const joins = this.#joins.get(connection);
    if (joins) joins.set(name, join);
    else this.#joins.set(connection, new Map([[name, join]]));
    return join;
  }

  #openTopic(name: string): PresentTopic {
    const view: TopicView = new TopicView({
      topic: name,
      leaveMs: this.#parts.leaveMs,
      onChange: () => this.#flushes.add(topic),
      onHold: (user) => this.#leaves.hold(view, user),
      onBytes: (bytes) => {
        this.#bytes += bytes;
      },
    });
    const topic = new PresentTopic({
      name,
      subject: this.#parts.subjects.presence(name),
      groups: new ChangeGroups({ ...this.#parts, nextId: () => this.#nextGroupId() }),
      view,
      loadedBy: performance.now() + LOAD_WITHIN_MS,
    });
    this.#topics.set(name, topic);
    this.#cluster.open(topic);
    return topic;
  }

  /** Negative, because groups of subscriptions have positive ids. */
  #nextGroupId(): number {
    this.#lastGroupId--;
    return this.#lastGroupId;
  }

  /** Takes the next steps of a join: register, wait for NATS and for the other workers, report the outcome. */
  #advance(join: Join): void {
    const { topic } = join;
    if (!join.isRegistered && !join.refusal) this.#register(join);
    if (!join.refusal && !(join.isRegistered && join.isConfirmed && topic.isLoaded)) return;
    topic.ready.add(join);
    this.#flushes.add(topic);
  }

  /** With a limit, the members must be known first, so that a user who is refused was never shown to others. */
  #register(join: Join): void {
    const { topic, member, claimed } = join;
    const { maxMembers } = join.waiting[0]?.options ?? {};
    const hasPlace = maxMembers === undefined || topic.locals.has(member.user);
    if (!hasPlace && (!topic.isLoaded || claimed !== undefined)) return;
    if (this.#bytes > MAX_BYTES) this.#refuse(join, "memory");
    else if (hasPlace) this.#makeMember(join);
    else if (!topic.view.isPresent(member.user) && topic.view.present >= maxMembers) this.#refuse(join, "limit");
    else this.#limited.claim(join, maxMembers);
  }

  #refuse(join: Join, reason: JoinRefusal): void {
    join.refusal = reason;
    this.#refused++;
  }

  #makeMember(join: Join): void {
    const { topic, member } = join;
    join.isRegistered = true;
    const isFirst = !topic.locals.has(member.user);
    topic.locals.add(join.connectionId, member);
    if (isFirst) {
      this.#updateLocal(topic, member.user);
      this.#report(topic, member, true);
    }
    this.#cluster.onceConfirmed(() => {
      join.isConfirmed = true;
      if (topic.joins.has(join)) this.#advance(join);
    });
  }

  #onLoaded(topic: PresentTopic): void {
    for (const join of topic.joins) if (!join.hasJoined) this.#advance(join);
  }

  /** Brings the view and the other workers up to date with a user of this worker. */
  #updateLocal(topic: PresentTopic, user: string): void {
    const present = topic.locals.present(user);
    if (present) topic.view.add(this.#parts.workerId, present);
    else topic.view.remove(this.#parts.workerId, user);
    this.#cluster.announce(topic, user);
  }

  #end(join: Join): void {
    const { connection, topic, member } = join;
    topic.joins.delete(join);
    topic.ready.delete(join);
    join.waiting = [];
    const joins = this.#joins.get(connection);
    joins?.delete(topic.name);
    if (joins?.size === 0) this.#joins.delete(connection);
    if (join.isRegistered || join.claimed !== undefined) {
      const wasMember = topic.locals.has(member.user);
      topic.locals.remove(join.connectionId, member.user);
      this.#updateLocal(topic, member.user);
      if (wasMember && !topic.locals.has(member.user)) this.#report(topic, member, false);
    }
    if (topic.joins.size === 0) this.#closeTopic(topic);
  }

  #closeTopic(topic: PresentTopic): void {
    this.#topics.delete(topic.name);
    this.#flushes.remove(topic);
    this.#cluster.close(topic);
    topic.view.close();
  }

  #report({ name: topic, locals }: PresentTopic, member: Member, isPresent: boolean): void {
    for (const listener of this.#listeners) listener({ topic, member, isPresent, localMembers: locals.size });
  }

  #check(): void {
    const now = performance.now();
    const lateMs = now - this.#checkedAt - CHECK_EVERY_MS;
    this.#checkedAt = now;
    if (lateMs > STOPPED_MS) {
      this.#cluster.extendDeadlines(lateMs);
      return;
    }
    this.#cluster.check();
    this.#leaves.endExpired();
  }
}
