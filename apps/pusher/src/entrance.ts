import { isUtf8 } from "node:buffer";
import { setTimeout as delay } from "node:timers/promises";
import type { Bus, History, StoredPublication } from "@fanwire/bus";
import { formatPosition, isProvablyComplete, type Position, parsePosition, type Subjects } from "@fanwire/protocol";
import type { Connection } from "./connection.ts";
import { encodeFanwire, encodeSse } from "./core/encoding.ts";
import { type Joining, joinToFrames } from "./core/joining.ts";
import { decode, exceptedId } from "./delivery.ts";
import type { Edge } from "./edge.ts";
import { fanwireJoining, sseJoining } from "./joined-frames.ts";
import type { Listening, Received } from "./listening.ts";
import type { LogFollower } from "./log-follower.ts";
import { messageOf } from "./log-repair.ts";
import { ReplayCache, ReplayLease, type ReplayPart } from "./replay-cache.ts";
import type { Traffic } from "./traffic.ts";

const DRAIN_CHECK_MS = 20;
/** Who takes nothing of what it missed for so long does not read; what waits for it is held in memory. */
const STALLED_MS = 20_000;
/** While NATS is away nothing can be proven; so long a reader waits for it. */
const GIVE_UP_MS = 10_000;

/** About so many characters of what was missed are joined at a time: a reader that does not take it is not sent the rest. */
const JOINED_LENGTH = 65_536;

type EntranceParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly edge: Edge;
  readonly follower: LogFollower<Listening>;
  readonly workerId: string;
  readonly unsentLimit: number;
  readonly traffic: Traffic;
};

type Missed = { readonly listening: Listening; readonly received: Received };
type Frame = { readonly content: Uint8Array; readonly isBinary: boolean };
type Replay = {
  /** Whether this is provably all that was missed; else nothing of it is sent. */
  readonly isComplete: boolean;
  readonly missed: readonly Missed[];
  /** Up to where it reaches: what comes of that otherwise is no news. */
  readonly upTo: number;
};
/** What a connection waits to hear, and up to where it has got what came of each meanwhile. */
type Waiting = { readonly listenings: readonly Listening[]; readonly marks: number[] };
type ListenedPart = ReplayPart & { readonly listening: Listening };

/**
 * How a connection comes to hear what it follows: from the moment it is told so, and, when it comes back with a position,
 * after what it missed, with no hole or repeat between.
 */
export class Entrance {
  readonly #parts: EntranceParts;
  readonly #cache: ReplayCache;
  /** What many readers miss is shared by them, from the history to the text that they are sent. */
  readonly #received = new WeakMap<StoredPublication, Received>();
  readonly #texts = { "fanwire.v1": new WeakMap<Received, string>(), sse: new WeakMap<Received, string>() };

  constructor(parts: EntranceParts) {
    this.#parts = parts;
    this.#cache = new ReplayCache(parts.history);
  }

  /** What is held of the history for those who come back, in bytes. */
  get replayBytes(): number {
    return this.#cache.heldBytes;
  }

  stop(): void {
    this.#cache.stop();
  }

  /**
   * To be called in the turn in which the connection began to follow `listenings`, and is in none of their trees yet. Calls
   * `announce` once NATS has our subscriptions and it is known whether anything is missing (null: nobody asked), then sends
   * what was missed and lets the connection join.
   */
  enter(
    connection: Connection,
    listenings: readonly Listening[],
    since: string | undefined,
    announce: (recovered: boolean | null) => void,
  ): void {
    if (since !== undefined || !listenings.every((listening) => listening.isHeard)) {
      void this.#enterLater(connection, listenings, since, announce);
      return;
    }
    announce(null);
    for (const listening of listenings) this.#parts.edge.join(connection, listening);
  }

  async #enterLater(
    connection: Connection,
    listenings: readonly Listening[],
    since: string | undefined,
    announce: (recovered: boolean | null) => void,
  ): Promise<void> {
    const { connectionId } = connection.getUserData();
    const { edge, bus, follower } = this.#parts;
    const waiting = { listenings, marks: listenings.map(({ backlog }) => backlog.enter()) };
    const comesBack = since === undefined ? undefined : { since, lease: new ReplayLease() };
    try {
      // Without NATS there is nothing to hear, and nothing to wait for.
      const isHeard = await bus.confirm();
      if (isHeard) await follower.begin(listenings);
      for (const listening of listenings) listening.isHeard ||= isHeard;
      const replay = comesBack && (await this.#recover(listenings, comesBack.since, comesBack.lease));
      if (edge.connection(connectionId) !== connection) return;

      announce(comesBack ? replay?.isComplete === true : null);
      await this.#catchUp(connection, waiting, replay);
    } finally {
      comesBack?.lease.end();
      for (const listening of listenings) listening.leaveBacklog();
    }
  }

  async #recover(listenings: readonly Listening[], since: string, lease: ReplayLease): Promise<Replay | undefined> {
    const position = parsePosition(since);
    const replay = position && (await this.#read(listenings, position, lease));
    this.#parts.traffic.resumed[replay?.isComplete ? "recovered" : "not-recovered"]++;
    return replay;
  }

  /** Sends what was missed and what came meanwhile, until there is nothing left; then the connection is live. */
  async #catchUp(connection: Connection, waiting: Waiting, replay: Replay | undefined): Promise<void> {
    const { edge } = this.#parts;
    const { connectionId } = connection.getUserData();
    let pending = replay?.isComplete ? replay.missed : [];
    for (;;) {
      for (const frame of this.#frames(connection, pending)) {
        const deadline = performance.now() + STALLED_MS;
        while (connection.getBufferedAmount() > this.#parts.unsentLimit / 2) {
          await delay(DRAIN_CHECK_MS);
          if (edge.connection(connectionId) !== connection) return;
          if (performance.now() < deadline) continue;
          edge.endSlow(connection);
          return;
        }
        edge.flushTo(connection);
        if (connection.send(frame.content, frame.isBinary) === 2) return;
      }
      const since = this.#since(waiting, replay);
      if (since === undefined) {
        // It reads too slowly to ever catch up here: it comes back to where it stands.
        edge.endSlow(connection);
        return;
      }
      if (since.length === 0) {
        for (const listening of waiting.listenings) edge.join(connection, listening);
        return;
      }
      pending = since;
    }
  }

  /** What came since the marks, and moves them. */
  #since({ listenings, marks }: Waiting, replay: Replay | undefined): Missed[] | undefined {
    const missed: Missed[] = [];
    for (const [at, listening] of listenings.entries()) {
      const entries = listening.backlog.since(marks[at] ?? 0);
      if (entries === undefined) return undefined;
      marks[at] = listening.backlog.end;
      for (const received of entries) {
        if (received.sequence === undefined || received.sequence > (replay?.upTo ?? 0))
          missed.push({ listening, received });
      }
    }
    // Of different keys, in the order in which they came.
    return missed.sort((one, other) => one.received.arrival - other.received.arrival);
  }

  /** What was stored after a position for all that is followed, or undefined when it cannot be read. */
  async #read(listenings: readonly Listening[], since: Position, lease: ReplayLease): Promise<Replay | undefined> {
    const { bus, follower } = this.#parts;
    const deadline = performance.now() + GIVE_UP_MS;
    while (performance.now() < deadline) {
      await follower.untilFlowing();
      // NATS must have our subscriptions before the history is read, or something could be in neither.
      if (!(await bus.confirm())) {
        await delay(DRAIN_CHECK_MS);
        continue;
      }
      if (!(await follower.begin(listenings))) {
        await delay(DRAIN_CHECK_MS);
        continue;
      }
      // A position of another history, or beyond this one, says nothing about what was read up to it: others would miss that.
      if (follower.epoch !== since.epoch || since.sequence > follower.lastSequence) await follower.ready();
      const { epoch, lastSequence: upTo } = follower;
      if (epoch !== since.epoch || since.sequence > upTo) return undefined;
      const parts: ListenedPart[] = [];
      for (const part of await Promise.all(
        listenings.map((listening) => this.#readOf(listening, since, upTo, lease)),
      )) {
        if (part?.history.epoch !== epoch) return undefined;
        parts.push(part);
      }
      // It was read from a node that lags: what it does not know yet may be what is missing.
      if (parts.some(({ through }) => through < upTo)) {
        await delay(DRAIN_CHECK_MS);
        continue;
      }
      const areLive = await Promise.all(
        parts.map(({ listening, publications }) => follower.reach(listening, publications, { epoch, sequence: upTo })),
      );
      if (areLive.includes(false) || follower.epoch !== epoch) continue;

      const missed = parts.map((part) => ({
        ...part,
        publications: part.publications.filter(({ sequence }) => sequence > since.sequence),
      }));
      return this.#replayOf(missed, upTo, await this.#isProvable(missed, since));
    }
    return undefined;
  }

  async #isProvable(parts: readonly ReplayPart[], since: Position): Promise<boolean> {
    const counts = new Map<string, number>();
    for (const { publications } of parts) {
      const own = new Map<string, number>();
      for (const { subject } of publications) own.set(subject, (own.get(subject) ?? 0) + 1);
      for (const [subject, count] of own) counts.set(subject, Math.max(count, counts.get(subject) ?? 0));
    }
    const mayLackSome = parts.some(({ history }) =>
      [...counts.values()].some((count) => count >= history.maxPerSubject),
    );
    const found = mayLackSome ? await this.#parts.history.find(since.sequence) : undefined;
    const subjectAtSince = found?.ok ? found.publication?.subject : undefined;
    return parts.every(({ history }) => isProvablyComplete({ since, counts, history, subjectAtSince }));
  }

  /**
   * Also what it has already, as long as it is not settled here: who heard elsewhere what this worker has lost would else hear
   * it again when it is repaired.
   */
  async #readOf(
    listening: Listening,
    { epoch, sequence: since }: Position,
    upTo: number,
    lease: ReplayLease,
  ): Promise<ListenedPart | undefined> {
    const sequence = Math.min(since, listening.sequence.floor ?? since);
    const part = await this.#cache.read(
      this.#parts.subjects.historyOf(listening.key) ?? "",
      { epoch, sequence },
      upTo,
      lease,
    );
    return part && { ...part, listening };
  }

  #replayOf(parts: readonly ListenedPart[], upTo: number, isComplete: boolean): Replay {
    // All were read at least to there. What is newer comes by itself, for all keys in its order, so that positions only grow.
    const missed = parts.flatMap(({ listening, publications }) =>
      publications
        .filter(({ sequence }) => sequence <= upTo)
        .map((publication): Missed => ({ listening, received: this.#receivedFrom(publication) })),
    );
    missed.sort((one, other) => (one.received.sequence ?? 0) - (other.received.sequence ?? 0));
    return { isComplete, missed, upTo };
  }

  #receivedFrom(publication: StoredPublication): Received {
    const known = this.#received.get(publication);
    if (known) return known;
    const message = messageOf(publication, this.#parts.subjects);
    const received = { message, sequence: publication.sequence, arrival: 0 };
    this.#received.set(publication, received);
    return received;
  }

  *#frames(connection: Connection, missed: readonly Missed[]): Generator<Frame> {
    const { connectionId, door } = connection.getUserData();
    const joining = door === "sse" ? sseJoining : fanwireJoining;
    let texts: string[] = [];
    let length = 0;
    for (const { listening, received } of missed) {
      const { message } = received;
      if (exceptedId(message, this.#parts.workerId) === connectionId) continue;
      this.#parts.traffic.deliveries++;
      this.#parts.traffic.deliveredBytes += message.data.length;
      if (door === "raw") {
        yield { content: message.data, isBinary: !isUtf8(message.data) };
        continue;
      }
      const text = this.#textFor(door, listening, received);
      texts.push(text);
      length += text.length;
      if (length < JOINED_LENGTH) continue;
      yield* textFrames(texts, joining);
      texts = [];
      length = 0;
    }
    yield* textFrames(texts, joining);
  }

  /** Both the history's readers and a backlog belong to one key: the same publication has one text for each door. */
  #textFor(door: "fanwire.v1" | "sse", listening: Listening, received: Received): string {
    const texts = this.#texts[door];
    const known = texts.get(received);
    if (known !== undefined) return known;
    const text = this.#encode(door, listening, received);
    texts.set(received, text);
    return text;
  }

  #encode(door: "fanwire.v1" | "sse", listening: Listening, { message, sequence, arrival }: Received): string {
    const { epoch } = this.#parts.follower;
    const position = sequence === undefined || !epoch ? undefined : formatPosition({ epoch, sequence });
    const delivered = decode(message, { topic: listening.topicOf(message), pattern: listening.pattern, position });
    return door === "sse" ? encodeSse(delivered) : encodeFanwire(delivered, arrival === 0);
  }
}

function textFrames(texts: readonly string[], joining: Joining): Frame[] {
  return joinToFrames(texts, joining).map((content) => ({ content, isBinary: false }));
}
