import { isUtf8 } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import { type Bus, countSubjects, type History, type StoredPublication } from "@fanwire/bus";
import { formatPosition, type NotRecovered, type Position, parsePosition, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { exceptedId } from "../fanout/fanout.ts";
import { fanwireJoining, sseJoining } from "../fanout/frame-batcher.ts";
import { isForeign } from "../history/foreign-position.ts";
import { BEHIND_MS } from "../history/frontier.ts";
import type { Hub } from "../hub/hub.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { type Joining, joinToFrames } from "../wire/join-frames.ts";
import { ReplayCache, type ReplayFailure, ReplayLease } from "./replay-cache.ts";
import { byWidest, partsOfSubscriptions, type Reading, type SubscriptionPart } from "./replay-readings.ts";
import { encode, ReplayTexts } from "./replay-texts.ts";
import { TimeSlices } from "./time-slices.ts";

const RETRY_MS = 20;
/** A client that takes nothing of what it missed for so long does not read; what waits for it is held in memory. */
const STALLED_MS = 20_000;
/** So long the history may be unreadable before a client is told that nothing can be proven. */
const GIVE_UP_MS = 10_000;
/** About so many characters of what was missed are joined at a time: a client that does not take it is not sent the rest. */
const JOINED_LENGTH = 65_536;
/** Subscriptions of one client whose replays are read at the same time. */
const READ_AT_A_TIME = 8;
/** Refusals to recover are logged once in this time for each reason, with their number. */
const LOG_EVERY_MS = 1_000;

type RecoveryParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly hub: Hub;
  readonly budget: MemoryBudget;
  readonly workerId: string;
  readonly unsentLimit: number;
  readonly counters: Counters;
  readonly log: Log;
};

export type Recovered = {
  /** `null`: the client came without a position. */
  readonly recovered: boolean | null;
  /** Why not. */
  readonly reason?: NotRecovered;
  /** Where it begins: what comes moves it on. */
  readonly position: string | undefined;
};

/** Something that begins to be subscribed to, in one go. */
export type Entering = {
  readonly connection: Connection;
  readonly subscriptions: readonly SharedSubscription[];
  readonly since: string | undefined;
  /**
   * `connection`: all that a new connection is subscribed to, which has one position.
   * `subscription`: one more, which has a position of its own until it has caught up with the others.
   */
  readonly kind: "connection" | "subscription";
  /** Called once, before anything is sent. */
  announce(outcome: Recovered): void;
};

type Missed = { readonly subscription: SharedSubscription; readonly received: Received };
type Frame = { readonly content: Uint8Array; readonly isBinary: boolean };
type Replay = { readonly missed: readonly Missed[]; readonly upTo: number };
/** What waits, and up to where it was sent what each of them has brought meanwhile. */
type Waiting = {
  readonly entering: Entering;
  begunAt: Position | undefined;
  readonly subscriptions: Set<SharedSubscription>;
  readonly marks: Map<SharedSubscription, number>;
  readonly since: Position | undefined;
  readonly lease: ReplayLease;
};

/**
 * Brings a connection to where it receives what it is subscribed to: from the frontier on, and, when it comes back with a
 * position, after what it missed, without hole or repeat between.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #cache: ReplayCache;
  readonly #waiting = new Map<Connection, Set<Waiting>>();
  readonly #logged = new Map<NotRecovered, { at: number; count: number }>();
  /** What many clients miss is shared by them, from the history to the text that they are sent. */
  readonly #received = new WeakMap<StoredPublication, Received>();
  readonly #texts = new ReplayTexts();
  readonly #slices = new TimeSlices();

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#cache = new ReplayCache(parts.history, parts.budget);
    parts.hub.onUnsubscribe = (connection, subscription) => this.#cancel(connection, subscription);
  }

  stop(): void {
    this.#cache.stop();
  }

  /** To be called in the tick in which the connection began to follow, and is in none of the groups yet. */
  enter(entering: Entering): void {
    const { connection, subscriptions, since, announce } = entering;
    const { hub } = this.#parts;
    if (
      since !== undefined ||
      hub.frontier.isBehind ||
      !subscriptions.every((subscription) => subscription.isConfirmed)
    ) {
      void this.#enterLater(entering);
      return;
    }
    announce({ recovered: null, position: hub.position });
    for (const subscription of subscriptions) hub.join(connection, subscription);
  }

  async #enterLater(entering: Entering): Promise<void> {
    const { connection, subscriptions, since, announce } = entering;
    const { hub, bus } = this.#parts;
    const { connectionId } = connection.getUserData();
    const waiting = this.#wait(entering);
    try {
      // Without NATS nothing live can come, and what is durable comes from the frontier on in any case.
      const isConfirmed = await bus.confirm();
      for (const subscription of subscriptions) subscription.isConfirmed ||= isConfirmed;
      // What was stored before the client came is not for it.
      if (hub.frontier.isBehind) await delay(BEHIND_MS);
      waiting.begunAt = hub.frontier.position;
      const replay = since === undefined ? undefined : await this.#recover(waiting);
      if (hub.connection(connectionId) !== connection) return;

      // What was stored while the history was asked in vain came before the client was told that it starts live.
      if (typeof replay === "string") waiting.begunAt = hub.frontier.position;
      announce({ ...this.#startOf(waiting, replay), ...outcomeOf(replay) });
      const isCaughtUp = await this.#catchUp(waiting, typeof replay === "object" ? replay : undefined);
      if (isCaughtUp) for (const subscription of waiting.subscriptions) hub.join(connection, subscription);
    } catch (error) {
      this.#parts.log.error({ err: error }, "a connection could not be brought up to date");
      if (hub.connection(connectionId) === connection) hub.endSlow(connection);
    } finally {
      this.#leave(waiting);
    }
  }

  #wait(entering: Entering): Waiting {
    const { connection, subscriptions, since } = entering;
    const waiting: Waiting = {
      entering,
      begunAt: this.#parts.hub.frontier.position,
      subscriptions: new Set(subscriptions),
      marks: new Map(subscriptions.map((subscription) => [subscription, subscription.backlog.enter()])),
      since: since === undefined ? undefined : parsePosition(since),
      lease: new ReplayLease(),
    };
    const all = this.#waiting.get(connection);
    if (all) all.add(waiting);
    else this.#waiting.set(connection, new Set([waiting]));
    return waiting;
  }

  #leave(waiting: Waiting): void {
    const { connection, subscriptions } = waiting.entering;
    waiting.lease.end();
    for (const subscription of subscriptions) subscription.leaveBacklog();
    const all = this.#waiting.get(connection);
    all?.delete(waiting);
    if (all?.size === 0) this.#waiting.delete(connection);
  }

  /** It is not wanted any more, though it may be again before the wait is over. */
  #cancel(connection: Connection, subscription: SharedSubscription): void {
    for (const waiting of this.#waiting.get(connection) ?? []) waiting.subscriptions.delete(subscription);
  }

  /** A client that lacks nothing yet stands where it stood: what it missed comes with positions of its own. */
  #startOf({ entering, begunAt }: Waiting, replay: Replay | NotRecovered | undefined): Pick<Recovered, "position"> {
    return { position: typeof replay === "object" ? entering.since : begunAt && formatPosition(begunAt) };
  }

  async #recover(waiting: Waiting): Promise<Replay | NotRecovered> {
    const { connection } = waiting.entering;
    const { connectionId } = connection.getUserData();
    const replay = waiting.since === undefined ? "malformed" : await this.#read(waiting, waiting.since);
    // A client that left meanwhile was told nothing, and says nothing about the history.
    if (this.#parts.hub.connection(connectionId) !== connection) return replay;
    this.#parts.counters.resumed[typeof replay === "string" ? replay : "recovered"]++;
    if (typeof replay === "string") this.#logRefusal(replay);
    return replay;
  }

  #logRefusal(reason: NotRecovered): void {
    const logged = this.#logged.get(reason) ?? { at: Number.NEGATIVE_INFINITY, count: 0 };
    this.#logged.set(reason, logged);
    logged.count++;
    const now = performance.now();
    if (now - logged.at < LOG_EVERY_MS) return;
    this.#parts.log.info({ reason, clients: logged.count }, "clients resumed without recovering");
    logged.at = now;
    logged.count = 0;
  }

  /** Sends what was missed and what came meanwhile, until nothing is left. False: the connection has ended. */
  async #catchUp(waiting: Waiting, replay: Replay | undefined): Promise<boolean> {
    const { hub } = this.#parts;
    const { connection } = waiting.entering;
    const { connectionId } = connection.getUserData();
    let pending = replay?.missed ?? [];
    let frames = 0;
    for (;;) {
      for (const frame of this.#frames(waiting, pending)) {
        // A long replay takes turns with others: each frame may hold a hundred publications.
        if (frames > 0) await this.#slices.turn();
        frames++;
        const isReady = await this.#untilDrained(waiting);
        if (hub.connection(connectionId) !== connection) return false;
        if (!isReady) {
          hub.endSlow(connection);
          return false;
        }
        hub.flushTo(connection);
        if (connection.send(frame.content, frame.isBinary) === 2) return false;
      }
      const since = this.#since(waiting, replay);
      if (since === undefined) {
        // It reads too slowly to ever catch up here: it comes back to where it stands.
        hub.endSlow(connection);
        return false;
      }
      if (since.length === 0) return true;
      pending = since;
    }
  }

  /** False: the client does not read, or its replay had to make room. Lets others have their turn in any case. */
  async #untilDrained({ entering: { connection }, lease }: Waiting): Promise<boolean> {
    const { hub, unsentLimit } = this.#parts;
    const { connectionId } = connection.getUserData();
    const deadline = performance.now() + STALLED_MS;
    if (lease.isEvicted) return false;
    while (connection.getBufferedAmount() > unsentLimit / 2) {
      await delay(RETRY_MS);
      if (hub.connection(connectionId) !== connection) return true;
      if (lease.isEvicted || performance.now() > deadline) return false;
    }
    return true;
  }

  /** What came since the marks, and moves them. */
  #since({ subscriptions, marks, begunAt: begun }: Waiting, replay: Replay | undefined): Missed[] | undefined {
    const missed: Missed[] = [];
    const begunAt = begun?.epoch === this.#parts.hub.frontier.position?.epoch ? (begun?.sequence ?? 0) : 0;
    for (const subscription of subscriptions) {
      const entries = subscription.backlog.since(marks.get(subscription) ?? 0);
      if (entries === undefined) return undefined;
      marks.set(subscription, subscription.backlog.end);
      for (const received of entries) {
        if (isNews(received, replay?.upTo ?? begunAt)) missed.push({ subscription, received });
      }
    }
    // Of different subscriptions, in the order in which they came.
    return missed.sort((one, other) => one.received.arrival - other.received.arrival);
  }

  /** What was stored after a position for all that is subscribed to, or why that cannot be proven. */
  async #read(waiting: Waiting, since: Position): Promise<Replay | NotRecovered> {
    const { bus, hub } = this.#parts;
    const { connection } = waiting.entering;
    const { connectionId } = connection.getUserData();
    const deadline = performance.now() + GIVE_UP_MS;
    const isWanted = () => performance.now() < deadline && hub.connection(connectionId) === connection;
    while (isWanted()) {
      const at = hub.frontier.position;
      const needed = since.copy === undefined ? since.sequence : since.sequence + 1;
      if (at?.epoch !== since.epoch || at.sequence < needed) {
        if (await isForeign(since, this.#parts.history, isWanted)) return "recreated";
      } else {
        const replay = await this.#readUpTo(waiting, since, at.sequence);
        if (replay !== "unreadable") return replay;
      }
      await delay(bus.health().alive ? RETRY_MS : 10 * RETRY_MS);
    }
    return "unreadable";
  }

  async #readUpTo(waiting: Waiting, since: Position, upTo: number): Promise<Replay | NotRecovered> {
    const parts = await this.#readAll([...waiting.subscriptions], since, upTo, waiting.lease);
    if (typeof parts === "string") return parts;
    // Many share a read, and all of them have it in the same tick.
    await this.#slices.turn();
    for (const { subscription, publications, history } of parts) {
      const filter = this.#filterOf(subscription);
      const missing = await this.#parts.history.missing({
        filter,
        since,
        counts: countSubjects(publications),
        history,
      });
      if (!missing.ok) return "unreadable";
      if (missing.reason !== undefined) return missing.reason;
    }
    return { missed: this.#missedOf(parts, since, upTo), upTo };
  }

  /** A few at a time: a client that is subscribed to much must not fill the memory by itself. */
  async #readAll(
    subscriptions: readonly SharedSubscription[],
    since: Position,
    upTo: number,
    lease: ReplayLease,
  ): Promise<SubscriptionPart[] | ReplayFailure> {
    const parts: SubscriptionPart[] = [];
    const readings = byWidest(subscriptions);
    while (readings.length > 0) {
      const now = readings.splice(0, READ_AT_A_TIME);
      const reads = now.map(({ widest }) => this.#cache.read(this.#filterOf(widest), since, upTo, lease));
      for (const [at, part] of (await Promise.all(reads)).entries()) {
        if (typeof part === "string") return part;
        // It was read from a node that lags: what it does not know yet may be what is missing.
        if (part.through < upTo) return "unreadable";
        parts.push(...partsOfSubscriptions(now[at] as Reading, part));
      }
      if (lease.isEvicted) return "over-replay-limit";
    }
    return parts;
  }

  #filterOf(subscription: SharedSubscription): string {
    return this.#parts.subjects.historyOf(subscription.key) ?? "";
  }

  /** In stream order, and each publication's copies in the order in which every worker sends them. */
  #missedOf(parts: readonly SubscriptionPart[], since: Position, upTo: number): Missed[] {
    const missed = parts.flatMap(({ subscription, publications }) =>
      publications
        .filter(({ sequence }) => sequence <= upTo)
        .map((publication): Missed => ({ subscription, received: this.#receivedFrom(publication, since.epoch) })),
    );
    missed.sort(
      (one, other) => orderOf(one) - orderOf(other) || (one.subscription.tag < other.subscription.tag ? -1 : 1),
    );
    return missed.filter(({ subscription, received }) => !hasCopy(since, received, subscription));
  }

  #receivedFrom(publication: StoredPublication, epoch: string): Received {
    const known = this.#received.get(publication);
    if (known) return known;
    const { sequence, subject: stored, content: data, headers } = publication;
    const subject = this.#parts.subjects.liveOf(stored) ?? "";
    const message = { subject, data, headers, respond: () => false };
    const received = { message, position: { epoch, sequence }, arrival: 0 };
    this.#received.set(publication, received);
    return received;
  }

  *#frames({ entering: { connection, kind }, lease }: Waiting, missed: readonly Missed[]): Generator<Frame> {
    const { connectionId, protocol } = connection.getUserData();
    const joining = protocol === "sse" ? sseJoining : fanwireJoining;
    let texts: string[] = [];
    let length = 0;
    for (const [at, { subscription, received }] of missed.entries()) {
      const { message } = received;
      if (exceptedId(message, this.#parts.workerId) === connectionId) continue;
      this.#parts.counters.deliveries++;
      this.#parts.counters.deliveredBytes += message.data.length;
      if (protocol === "raw") {
        yield { content: message.data, isBinary: !isUtf8(message.data) };
        continue;
      }
      const isLastCopy = received.position === undefined || orderOf(missed[at + 1]) !== orderOf({ received });
      const wanted = { protocol, subscription, received, isLastCopy, kind };
      const text = lease.isShared ? this.#texts.of(wanted) : encode(wanted);
      texts.push(text);
      length += text.length;
      if (length < JOINED_LENGTH) continue;
      yield* textFrames(texts, joining);
      texts = [];
      length = 0;
    }
    yield* textFrames(texts, joining);
  }
}

function outcomeOf(replay: Replay | NotRecovered | undefined): Omit<Recovered, "position"> {
  if (replay === undefined) return { recovered: null };
  return typeof replay === "string" ? { recovered: false, reason: replay } : { recovered: true };
}

/** The sequence of the publication; -1 for a live one. */
function orderOf(missed: Pick<Missed, "received"> | undefined): number {
  return missed?.received.position?.sequence ?? -1;
}

/** Live, or stored after what was replayed. */
function isNews(received: Received, upTo: number): boolean {
  return received.position === undefined || orderOf({ received }) > upTo;
}

/** Whether a client that comes with a position has this copy of a publication already. */
function hasCopy(since: Position | undefined, received: Received, { tag }: SharedSubscription): boolean {
  return since?.copy !== undefined && orderOf({ received }) === since.sequence + 1 && tag <= since.copy;
}

function textFrames(texts: readonly string[], joining: Joining): Frame[] {
  return joinToFrames(texts, joining).map((content) => ({ content, isBinary: false }));
}
