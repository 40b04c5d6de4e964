import { setTimeout as delay } from "node:timers/promises";
import type { Bus, History } from "@fanwire/bus";
import { closeCodes, type NotRecovered, type Position, parsePosition, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { Traces } from "../events/traces.ts";
import { lastSequenceOf } from "../history/foreign-position.ts";
import { MAX_BEHIND_MS } from "../history/frontier.ts";
import type { Hub } from "../hub/hub.ts";
import type { Reader } from "../hub/live-backlog.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import { type ReceiptOutcome, takeArrived, takeReceipts } from "./arrived-publications.ts";
import type { Missed } from "./missed-lists.ts";
import { type RecoveryOutcome, resultOf, startOf, tracedResult } from "./recovery-outcome.ts";
import { RefusalLog } from "./refusal-log.ts";
import { ReplayLease } from "./replay-cache.ts";
import { ReplayFrames } from "./replay-frames.ts";
import { type Replay, ReplayReader } from "./replay-reader.ts";

const RETRY_MS = 20;
/** Interval of checks while the worker is behind its clients. Thousands of them may wait. */
const BEHIND_RETRY_MS = 100;
/** Time after which a client is disconnected that reads nothing of its replay, or that its worker is still behind. */
const GIVE_UP_MS = 20_000;

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
  readonly slices: TimeSlices;
  readonly traces: Traces;
};

/** Subscriptions of one connection that become live together. */
export type RecoveryRequest = {
  readonly connection: Connection;
  readonly subscriptions: readonly SharedSubscription[];
  /**
   * Position from which the client resumes, or a function that returns it. The function is called when NATS has the
   * subscriptions, so that everything that is stored from then on reaches the connection.
   */
  readonly since: string | undefined | (() => Promise<string | undefined>);
  /**
   * `connection`: all subscriptions of a new connection, which share one position.
   * `subscription`: one more subscription. It has a separate position until it has caught up with the others.
   */
  readonly kind: "connection" | "subscription";
  /** The replay is the cached event of a channel, not what the client missed. It is not counted as a resume. */
  readonly isCache?: boolean;
  /** The application knows that the connection is subscribed, so that all that is stored from now on must reach it. */
  readonly isAnnounced?: boolean;
  /** Called once, before anything is sent. */
  onOutcome(outcome: RecoveryOutcome): void;
};

/** A request whose subscriptions are not live yet. */
type Pending = {
  readonly request: RecoveryRequest;
  /** Subscriptions that are not live yet. */
  readonly readers: Map<SharedSubscription, Reader>;
  /**
   * Readers of subscriptions that have ended. They have left only with the others, because it is unknown until then
   * whether they received what is being sent.
   */
  cancelled: readonly Reader[];
  /** Without a replay, the connection receives what was stored after this position. */
  startsAfter: Position | undefined;
  /** Position from which the replay begins; undefined without a replay. */
  since: string | undefined;
  /** Undefined until it was read, and for a client that does not resume or recover. */
  replay: Replay | undefined;
  /** Undefined for a client that does not resume, because it has no replay. */
  lease: ReplayLease | undefined;
  /** Called after the outcome. Undefined from then on. */
  afterOutcome: readonly (() => void)[] | undefined;
};

const NONE: readonly never[] = [];

/**
 * Moves the subscriptions of a connection from subscribed to live. If the client resumes from a position, missed
 * publications are sent first, without gaps or duplicates.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #reader: ReplayReader;
  readonly #refusals: RefusalLog;
  readonly #pending = new Map<Connection, Pending[]>();
  readonly #frames: ReplayFrames;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#reader = new ReplayReader(parts);
    this.#refusals = new RefusalLog(parts.log);
    this.#frames = new ReplayFrames(parts);
    parts.hub.onUnsubscribe = (connection, subscription) => this.#cancel(connection, subscription);
    parts.hub.startDeliveryWhenLive = (connection, subscription) =>
      this.#startDeliveryWhenLive(connection, subscription);
    parts.hub.onceWelcomed = (connection, send) => this.#onceWelcomed(connection, send);
  }

  stop(): void {
    this.#reader.stop();
  }

  /**
   * Must be called in the tick in which the connection subscribed, before delivery from any of the subscriptions
   * starts.
   */
  start(request: RecoveryRequest): void {
    const { connection, subscriptions, since, onOutcome } = request;
    const { hub } = this.#parts;
    if (
      since !== undefined ||
      hub.frontier.mayBeBehind ||
      this.#isRecovering(connection) ||
      !subscriptions.every((subscription) => subscription.isConfirmed)
    ) {
      void this.#startLater(request);
      return;
    }
    onOutcome({ recovered: null, position: hub.position });
    for (const subscription of subscriptions) hub.startDelivery(connection, subscription);
  }

  /**
   * Must be called for a client that resumes a subscription which it has already. A replay would repeat what the
   * subscription has delivered, and nothing records that. Returns members of the reply.
   */
  refuseRepeated(connection: Connection, topic: string): Pick<RecoveryOutcome, "recovered" | "reason"> {
    const reason = "already-subscribed";
    this.#parts.traces.active?.resumed(connection, [topic], tracedResult(true, reason));
    this.#countRefusal(reason);
    return resultOf(reason);
  }

  #countRefusal(reason: NotRecovered): void {
    this.#parts.counters.resumed[reason]++;
    this.#refusals.add(reason);
  }

  async #startLater(request: RecoveryRequest): Promise<void> {
    const { connection, subscriptions, since, onOutcome } = request;
    const { hub, bus, slices } = this.#parts;
    const { connectionId } = connection.getUserData();
    const pending = this.#addPending(request);
    try {
      // If NATS does not confirm, the session starts all the same: live publications are lost anyway, and durable ones
      // are delivered from the frontier on.
      const isConfirmed = await bus.confirm();
      for (const subscription of subscriptions) subscription.isConfirmed ||= isConfirmed;
      // NATS confirms the subscriptions of thousands of connections at the same time.
      if (!slices.mayWorkNow()) await slices.turn();
      // The client must not receive what was stored before it subscribed.
      if (hub.frontier.mayBeBehind) await delay(MAX_BEHIND_MS);
      if (!request.isAnnounced) pending.startsAfter = hub.frontier.position;
      pending.since = typeof since === "function" ? await since() : since;
      const replay = pending.since === undefined ? undefined : await this.#replayFor(pending, pending.since);
      if (hub.connection(connectionId) !== connection) return;
      if (replay === "evicted") {
        hub.drop(connection, "memory-budget");
        return;
      }

      // After a failed read the client starts live, without what was stored meanwhile. A client that waits for a cached
      // event must receive that, because it would miss an event otherwise.
      if (typeof replay === "string" && !request.isCache)
        pending.startsAfter = this.#startAfterFailure(pending, replay);
      if (typeof replay === "object") pending.replay = replay;
      onOutcome({ ...startOf(pending, replay), ...resultOf(replay) });
      if (hub.connection(connectionId) === connection) for (const send of pending.afterOutcome ?? NONE) send();
      pending.afterOutcome = undefined;
      await this.#catchUp(pending);
    } catch (error) {
      this.#parts.log.error({ err: error }, "recovery failed");
      if (hub.connection(connectionId) === connection) connection.close();
    } finally {
      this.#removePending(pending);
    }
  }

  /** A worker that has not caught up may be behind its client, which must not receive again what it has. */
  #startAfterFailure({ since: text = "" }: Pending, reason: NotRecovered): Position | undefined {
    const { position } = this.#parts.hub.frontier;
    const since = reason === "unreadable" ? parsePosition(text) : undefined;
    if (since === undefined || since.epoch !== position?.epoch) return position;
    return { ...position, sequence: Math.max(position.sequence, lastSequenceOf(since)) };
  }

  /** Whether the worker has not caught up with the position after which a connection starts. */
  #isBehind({ startsAfter }: Pending): boolean {
    const { position } = this.#parts.hub.frontier;
    if (startsAfter === undefined || startsAfter.epoch !== position?.epoch) return false;
    return position.sequence < startsAfter.sequence;
  }

  #startDeliveryWhenLive(connection: Connection, subscription: SharedSubscription): void {
    if (!this.#isRecovering(connection)) {
      this.#parts.hub.startDelivery(connection, subscription);
      return;
    }
    const request = { connection, subscriptions: [subscription], since: undefined, onOutcome() {} };
    void this.#startLater({ ...request, kind: "subscription", isAnnounced: true });
  }

  #onceWelcomed(connection: Connection, send: () => void): void {
    const beginning = this.#beginningOf(connection);
    if (beginning?.afterOutcome) beginning.afterOutcome = [...beginning.afterOutcome, send];
    else send();
  }

  /** Whether a connection still receives the replay with which it began. */
  #isRecovering(connection: Connection): boolean {
    return this.#beginningOf(connection) !== undefined;
  }

  #beginningOf(connection: Connection): Pending | undefined {
    return this.#pending.get(connection)?.find(({ request }) => request.kind === "connection");
  }

  #addPending(request: RecoveryRequest): Pending {
    const { connection, subscriptions } = request;
    const pending: Pending = {
      request,
      readers: new Map(),
      cancelled: NONE,
      startsAfter: this.#parts.hub.frontier.position,
      since: undefined,
      replay: undefined,
      lease: undefined,
      afterOutcome: NONE,
    };
    const { connectionId } = connection.getUserData();
    for (const subscription of subscriptions) {
      pending.readers.set(subscription, subscription.backlog.addReader(connectionId));
    }
    const all = this.#pending.get(connection);
    if (all) all.push(pending);
    else this.#pending.set(connection, [pending]);
    return pending;
  }

  #removePending(pending: Pending): void {
    const { connection } = pending.request;
    pending.lease?.end();
    for (const [subscription, reader] of pending.readers) subscription.leaveBacklog(reader);
    for (const reader of [...pending.readers.values(), ...pending.cancelled]) reader.hasLeft = true;
    const others = this.#pending.get(connection)?.filter((each) => each !== pending) ?? [];
    if (others.length === 0) this.#pending.delete(connection);
    else this.#pending.set(connection, others);
  }

  /** Leaves out a subscription that has ended. The connection may subscribe again before its recovery is over. */
  #cancel(connection: Connection, subscription: SharedSubscription): void {
    for (const pending of this.#pending.get(connection) ?? NONE) {
      const reader = pending.readers.get(subscription);
      if (reader === undefined) continue;
      pending.readers.delete(subscription);
      pending.cancelled = [...pending.cancelled, reader];
      const { receipts } = this.#parts.hub;
      for (const { id, outcome } of takeReceipts(pending, subscription, reader)) {
        receipts.countWaiting(id, reader, outcome);
      }
      // Later publications must not wait for it.
      subscription.leaveBacklog(reader);
    }
  }

  /** Returns what the client missed, or why that cannot be proved. `evicted`: it has to resume again. */
  async #replayFor(pending: Pending, text: string): Promise<Replay | NotRecovered | "evicted"> {
    const { hub, counters } = this.#parts;
    const { connection } = pending.request;
    const { connectionId } = connection.getUserData();
    const lease = new ReplayLease();
    pending.lease = lease;
    const since = parsePosition(text);
    const isWanted = () => hub.connection(connectionId) === connection;
    const replay =
      since === undefined
        ? "malformed"
        : await this.#reader.read({ subscriptions: pending.readers, since, lease, isWanted });
    if (replay === "evicted" || pending.request.isCache) return replay;
    this.#parts.traces.active?.resumed(connection, topicsOf(pending.request), tracedResult(isWanted(), replay));
    // A client that has disconnected was not refused.
    if (!isWanted()) return replay;
    if (typeof replay === "string") this.#countRefusal(replay);
    else counters.resumed.recovered++;
    return replay;
  }

  /** Sends the replay and what arrived meanwhile, until the subscriptions are live or the connection has ended. */
  async #catchUp(pending: Pending): Promise<void> {
    const { hub } = this.#parts;
    const { connection, kind } = pending.request;
    const { connectionId } = connection.getUserData();
    let missed = pending.replay?.missed ?? NONE;
    let receipts: readonly ReceiptOutcome[] = NONE;
    const giveUpAt = performance.now() + GIVE_UP_MS;
    for (;;) {
      if (missed.length > 0 && !(await this.#send(pending, missed))) return;
      this.#countReceipts(pending, receipts);
      // A command that was executed since the last frame may have closed it.
      if (hub.connection(connectionId) !== connection) return;
      const arrived = takeArrived(pending, (each) => this.#frames.canCarry(connection, each));
      if (arrived === undefined) {
        // The backlog was evicted before the client had read it. The client resumes from the last position it received.
        hub.drop(connection, "memory-budget");
        return;
      }
      ({ missed, receipts } = arrived);
      if (missed.length > 0 || receipts.length > 0) continue;
      // A subscription that is live has the position of the connection, which must not overtake the replay of the others.
      const mustWait = kind === "subscription" && this.#isRecovering(connection);
      const isBehind = this.#isBehind(pending);
      if (!mustWait && !isBehind) {
        // Nothing may be awaited between the look into the backlogs and the start of delivery, because what arrived
        // then would be lost.
        for (const subscription of pending.readers.keys()) hub.startDelivery(connection, subscription);
        return;
      }
      if (isBehind && performance.now() > giveUpAt) {
        hub.end(connection, closeCodes.workerBehind);
        return;
      }
      await delay(isBehind ? BEHIND_RETRY_MS : RETRY_MS);
      if (hub.connection(connectionId) !== connection || pending.readers.size === 0) return;
    }
  }

  /** Returns false if the connection has ended before everything was sent. */
  async #send(pending: Pending, missed: readonly Missed[]): Promise<boolean> {
    const { hub } = this.#parts;
    const { connection } = pending.request;
    const { connectionId } = connection.getUserData();
    const toEncode = { ...pending.request, missed, has: (each: SharedSubscription) => pending.readers.has(each) };
    for (const portion of this.#frames.portions(toEncode)) {
      // A long replay takes turns with others, because one portion may hold a hundred publications.
      if (portion.from > 0) await this.#parts.slices.turn();
      const isReady = await this.#untilDrained(pending);
      if (hub.connection(connectionId) !== connection) return false;
      if (!isReady) {
        hub.drop(connection, pending.lease?.isEvicted ? "memory-budget" : "unsent-bytes");
        return false;
      }
      hub.flushTo(connection);
      const isShared = pending.lease?.isShared ?? false;
      for (const { content, isBinary } of this.#frames.encode(portion, toEncode, isShared)) {
        if (connection.send(content, isBinary) === 2) return false;
      }
    }
    return true;
  }

  /** Waits until the connection can take more. Returns false if the client does not read, or its replay was evicted. */
  async #untilDrained({ request: { connection }, lease }: Pending): Promise<boolean> {
    const { hub, unsentLimit } = this.#parts;
    const { connectionId } = connection.getUserData();
    let deadline = 0;
    let unsentBytes = Number.POSITIVE_INFINITY;
    for (;;) {
      if (lease?.isEvicted) return false;
      if (hub.connection(connectionId) !== connection) return true;
      const before = unsentBytes;
      unsentBytes = connection.getBufferedAmount();
      if (unsentBytes <= unsentLimit / 2) return true;
      if (unsentBytes < before) deadline = performance.now() + GIVE_UP_MS;
      else if (performance.now() > deadline) return false;
      await delay(RETRY_MS);
    }
  }

  /** Counts what the connection has received by now. */
  #countReceipts({ request: { connection }, cancelled }: Pending, receipts: readonly ReceiptOutcome[]): void {
    if (receipts.length === 0) return;
    const { hub } = this.#parts;
    // A publication that waits for the end of the flush delay is not counted before it is delivered to the others.
    hub.flushTo(connection);
    for (const { id, reader, outcome } of receipts) {
      const hasEnded = cancelled.includes(reader);
      hub.receipts.countWaiting(id, reader, hasEnded ? "unknown" : outcome);
    }
  }
}

function topicsOf({ subscriptions }: RecoveryRequest): string[] {
  return subscriptions.flatMap(({ pattern }) => pattern ?? []);
}
