import { isUtf8 } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import type { Bus, BusMessage, History } from "@fanwire/bus";
import { formatPosition, type NotRecovered, type Position, parsePosition, type Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { Connection } from "../connections/connection.ts";
import type { Counters } from "../connections/counters.ts";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import type { Traces } from "../events/traces.ts";
import { exceptedId } from "../fanout/decoded-publication.ts";
import { MAX_BEHIND_MS } from "../history/frontier.ts";
import type { Hub } from "../hub/hub.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { type Joining, joinToFrames } from "../wire/join-frames.ts";
import { RefusalLog } from "./refusal-log.ts";
import { ReplayLease } from "./replay-cache.ts";
import { type Missed, type Replay, ReplayReader, sequenceOf } from "./replay-reader.ts";
import { ReplayTexts, toPublication } from "./replay-texts.ts";
import type { TimeSlices } from "./time-slices.ts";

const RETRY_MS = 20;
/** A client that reads nothing for this long is disconnected, to free its replay. */
const STALLED_MS = 20_000;
/** Approximate characters of missed publications joined at a time, so that little is encoded in vain for a client that closes. */
const JOINED_LENGTH = 65_536;

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

export type RecoveryOutcome = {
  /** `null`: the client did not resume. */
  readonly recovered: boolean | null;
  /** Why the client did not recover. */
  readonly reason?: NotRecovered;
  /** Position from which the client starts. Later publications have their own. */
  readonly position: string | undefined;
};

/** Subscriptions of one connection that become live together. */
export type RecoveryRequest = {
  readonly connection: Connection;
  readonly subscriptions: readonly SharedSubscription[];
  /** A function is called when the connection is subscribed: what is stored from then on reaches it, whatever the result. */
  readonly since: string | undefined | (() => Promise<string | undefined>);
  /**
   * `connection`: all subscriptions of a new connection, which share one position.
   * `subscription`: one more subscription. It has a separate position until it has caught up with the others.
   */
  readonly kind: "connection" | "subscription";
  /** The replay is the cached event of a channel, not what the client missed. It is not counted as a resume. */
  readonly isCache?: boolean;
  /** Called once, before anything is sent. */
  onOutcome(outcome: RecoveryOutcome): void;
};

type Frame = { readonly content: Uint8Array; readonly isBinary: boolean };

/** A request whose subscriptions are not live yet. */
type Pending = {
  readonly request: RecoveryRequest;
  /** Subscriptions to join, each with the index in its backlog up to which the connection was sent everything. */
  readonly sentUpTo: Map<SharedSubscription, number>;
  /** Without a replay, the connection receives what was stored after this position. */
  startsAfter: Position | undefined;
  /** Position from which the replay begins; undefined without a replay. */
  since: string | undefined;
  /** Undefined for a client that does not resume, because it has no replay. */
  lease: ReplayLease | undefined;
};

/**
 * Moves the subscriptions of a connection from subscribed to live. If the client resumes from a position, missed publications
 * are sent first, without gaps or duplicates.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #reader: ReplayReader;
  readonly #refusals: RefusalLog;
  readonly #pending = new Map<Connection, Pending[]>();
  readonly #texts = new ReplayTexts();

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#reader = new ReplayReader(parts);
    this.#refusals = new RefusalLog(parts.log);
    parts.hub.onUnsubscribe = (connection, subscription) => this.#cancel(connection, subscription);
  }

  stop(): void {
    this.#reader.stop();
  }

  /** Must be called in the tick in which the connection subscribed, before it joins any of the subscriptions. */
  start(request: RecoveryRequest): void {
    const { connection, subscriptions, since, onOutcome } = request;
    const { hub } = this.#parts;
    if (
      since !== undefined ||
      hub.frontier.mayBeBehind ||
      !subscriptions.every((subscription) => subscription.isConfirmed)
    ) {
      void this.#startLater(request);
      return;
    }
    onOutcome({ recovered: null, position: hub.position });
    for (const subscription of subscriptions) hub.join(connection, subscription);
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
      // NATS confirms the subscriptions of thousands of connections at once.
      if (!slices.mayWorkNow()) await slices.turn();
      // The client must not receive what was stored before it subscribed.
      if (hub.frontier.mayBeBehind) await delay(MAX_BEHIND_MS);
      pending.startsAfter = hub.frontier.position;
      pending.since = typeof since === "function" ? await since() : since;
      const replay = pending.since === undefined ? undefined : await this.#replayFor(pending, pending.since);
      if (hub.connection(connectionId) !== connection) return;

      // Nothing that was stored during a failed read is sent, because the client starts live after it. A cached event would then be
      // followed by a later one than the next.
      if (typeof replay === "string" && !request.isCache) pending.startsAfter = hub.frontier.position;
      onOutcome({ ...startOf(pending, replay), ...resultOf(replay) });
      await this.#catchUp(pending, typeof replay === "object" ? replay : undefined);
    } catch (error) {
      this.#parts.log.error({ err: error }, "recovery failed");
      if (hub.connection(connectionId) === connection) connection.close();
    } finally {
      this.#removePending(pending);
    }
  }

  #addPending(request: RecoveryRequest): Pending {
    const { connection, subscriptions } = request;
    const pending: Pending = {
      request,
      sentUpTo: new Map(),
      startsAfter: this.#parts.hub.frontier.position,
      since: undefined,
      lease: undefined,
    };
    for (const subscription of subscriptions) pending.sentUpTo.set(subscription, subscription.backlog.addReader());
    const all = this.#pending.get(connection);
    if (all) all.push(pending);
    else this.#pending.set(connection, [pending]);
    return pending;
  }

  #removePending(pending: Pending): void {
    const { connection, subscriptions } = pending.request;
    pending.lease?.end();
    for (const subscription of subscriptions) subscription.leaveBacklog();
    const others = this.#pending.get(connection)?.filter((each) => each !== pending) ?? [];
    if (others.length === 0) this.#pending.delete(connection);
    else this.#pending.set(connection, others);
  }

  /** Leaves out a subscription that has ended. The connection may subscribe again before its recovery is over. */
  #cancel(connection: Connection, subscription: SharedSubscription): void {
    for (const pending of this.#pending.get(connection) ?? []) pending.sentUpTo.delete(subscription);
  }

  /** Returns what the client missed, or why that cannot be proven. */
  async #replayFor(pending: Pending, text: string): Promise<Replay | NotRecovered> {
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
        : await this.#reader.read({ subscriptions: pending.sentUpTo, since, lease, isWanted });
    if (pending.request.isCache) return replay;
    this.#parts.traces.active?.resumed(connection, topicsOf(pending.request), tracedResult(isWanted(), replay));
    // A client that has disconnected was not refused.
    if (!isWanted()) return replay;
    counters.resumed[typeof replay === "string" ? replay : "recovered"]++;
    if (typeof replay === "string") this.#refusals.add(replay);
    return replay;
  }

  /** Sends the replay and what arrived meanwhile, until the connection can join its subscriptions or has ended. */
  async #catchUp(pending: Pending, replay: Replay | undefined): Promise<void> {
    const { hub } = this.#parts;
    const { connection } = pending.request;
    let missed = replay?.missed ?? [];
    for (;;) {
      if (missed.length > 0 && !(await this.#send(pending, missed))) return;
      const arrived = this.#takeArrived(pending, replay);
      if (arrived === undefined) {
        // The backlog was evicted before the client had read it. The client resumes from the last position it received.
        hub.drop(connection, "memory-budget");
        return;
      }
      if (arrived.length === 0) {
        // Nothing may be awaited between the look into the backlogs and the join: what arrived there would be lost.
        for (const subscription of pending.sentUpTo.keys()) hub.join(connection, subscription);
        return;
      }
      missed = arrived;
    }
  }

  /** Returns false if the connection has ended before everything was sent. */
  async #send(pending: Pending, missed: readonly Missed[]): Promise<boolean> {
    const { hub } = this.#parts;
    const { connection } = pending.request;
    const { connectionId } = connection.getUserData();
    let frames = 0;
    for (const frame of this.#frames(pending, missed)) {
      // A long replay takes turns with others, because one frame may hold a hundred publications.
      if (frames > 0) await this.#parts.slices.turn();
      frames++;
      const isReady = await this.#untilDrained(pending);
      if (hub.connection(connectionId) !== connection) return false;
      if (!isReady) {
        hub.drop(connection, pending.lease?.isEvicted ? "memory-budget" : "unsent-bytes");
        return false;
      }
      hub.flushTo(connection);
      if (connection.send(frame.content, frame.isBinary) === 2) return false;
    }
    return true;
  }

  /** Waits until the connection can take more. Returns false if the client does not read, or its replay was evicted. */
  async #untilDrained({ request: { connection }, lease }: Pending): Promise<boolean> {
    const { hub, unsentLimit } = this.#parts;
    const { connectionId } = connection.getUserData();
    const deadline = performance.now() + STALLED_MS;
    if (lease?.isEvicted) return false;
    while (connection.getBufferedAmount() > unsentLimit / 2) {
      await delay(RETRY_MS);
      if (hub.connection(connectionId) !== connection) return true;
      if (lease?.isEvicted || performance.now() > deadline) return false;
    }
    return true;
  }

  /** Takes what the connection was not sent yet from the backlogs. Returns undefined if some of it was evicted. */
  #takeArrived({ sentUpTo, startsAfter }: Pending, replay: Replay | undefined): Missed[] | undefined {
    const missed: Missed[] = [];
    const startsHere = startsAfter?.epoch === this.#parts.hub.frontier.position?.epoch;
    const upTo = replay?.upTo ?? (startsHere ? (startsAfter?.sequence ?? 0) : 0);
    for (const [subscription, index] of sentUpTo) {
      const { backlog } = subscription;
      if (backlog.end === index) continue;
      const entries = backlog.since(index);
      if (entries === undefined) return undefined;
      sentUpTo.set(subscription, backlog.end);
      for (const received of entries) {
        if (isLaterThan(received, upTo)) missed.push({ subscription, received });
      }
    }
    return missed.sort((one, other) => one.received.arrival - other.received.arrival);
  }

  *#frames({ request: { connection, kind }, lease }: Pending, missed: readonly Missed[]): Generator<Frame> {
    const state = connection.getUserData();
    const encoding = state.protocol.encodingOf(state);
    let texts: string[] = [];
    let length = 0;
    for (const [at, { subscription, received }] of missed.entries()) {
      const { message } = received;
      if (exceptedId(message, this.#parts.workerId) === state.connectionId) continue;
      const isLastCopy =
        received.position === undefined || sequenceOf(missed[at + 1]?.received) !== sequenceOf(received);
      const copy = { subscription, received, isLastCopy, kind };
      if (encoding.frames === "single") {
        const content = encoding.encode(toPublication(copy));
        if (content === undefined) {
          this.#parts.counters.uncarried++;
          continue;
        }
        this.#countDelivery(message);
        yield { content, isBinary: !isUtf8(content) };
        continue;
      }
      this.#countDelivery(message);
      const text = lease?.isShared ? this.#texts.of({ ...copy, encoding }) : encoding.encode(toPublication(copy));
      texts.push(text);
      length += text.length;
      if (length < JOINED_LENGTH) continue;
      yield* textFrames(texts, encoding.joining);
      texts = [];
      length = 0;
    }
    if (encoding.frames === "joined") yield* textFrames(texts, encoding.joining);
  }

  #countDelivery({ data }: BusMessage): void {
    this.#parts.counters.deliveries++;
    this.#parts.counters.deliveredBytes += data.length;
  }
}

/** A client with a replay starts from its own position, because each missed publication moves that on. */
function startOf(
  { since, startsAfter }: Pending,
  replay: Replay | NotRecovered | undefined,
): Pick<RecoveryOutcome, "position"> {
  return { position: typeof replay === "object" ? since : startsAfter && formatPosition(startsAfter) };
}

function resultOf(replay: Replay | NotRecovered | undefined): Omit<RecoveryOutcome, "position"> {
  if (replay === undefined) return { recovered: null };
  return typeof replay === "string" ? { recovered: false, reason: replay } : { recovered: true };
}

function topicsOf({ subscriptions }: RecoveryRequest): string[] {
  return subscriptions.flatMap(({ pattern }) => pattern ?? []);
}

/** Returns what a trace shows of a resume. */
function tracedResult(isWanted: boolean, replay: Replay | NotRecovered) {
  if (!isWanted) return { recovered: null, replayed: 0 };
  const replayed = typeof replay === "string" ? 0 : replay.missed.length;
  return { ...resultOf(replay), replayed };
}

/** Whether a message is live, or stored after what was replayed. */
function isLaterThan(received: Received, upTo: number): boolean {
  return received.position === undefined || sequenceOf(received) > upTo;
}

function textFrames(texts: readonly string[], joining: Joining): Frame[] {
  return joinToFrames(texts, joining).map((content) => ({ content, isBinary: false }));
}
