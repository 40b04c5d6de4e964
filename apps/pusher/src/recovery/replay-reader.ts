import { setTimeout as delay } from "node:timers/promises";
import { type Bus, countSubjects, type History, type StoredPublication } from "@fanwire/bus";
import type { NotRecovered, Position, Subjects } from "@fanwire/protocol";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { isForeign, lastSequenceOf } from "../history/foreign-position.ts";
import type { Hub } from "../hub/hub.ts";
import type { Received, SharedSubscription } from "../hub/shared-subscription.ts";
import { ReplayCache, type ReplayFailure, type ReplayLease } from "./replay-cache.ts";
import { byWidest, partsOfSubscriptions, type Reading, type SubscriptionPart } from "./replay-readings.ts";
import type { TimeSlices } from "./time-slices.ts";

const RETRY_MS = 20;
/** A client is told that nothing can be proven when the history was unreadable for this time. */
const GIVE_UP_MS = 10_000;
/** Maximum number of subscriptions of one client whose replays are read at the same time. */
const MAX_PARALLEL_READS = 8;

type ReaderParts = {
  readonly bus: Bus;
  readonly history: History;
  readonly subjects: Subjects;
  readonly hub: Hub;
  readonly budget: MemoryBudget;
  readonly slices: TimeSlices;
};

/** A publication that a client has to receive, by one of its subscriptions. */
export type Missed = { readonly subscription: SharedSubscription; readonly received: Received };

export type Replay = {
  readonly missed: readonly Missed[];
  /** Sequence up to which the replay is complete. */
  readonly upTo: number;
};

type ReplayRequest = {
  /** Subscriptions that are cancelled meanwhile disappear from it. */
  readonly subscriptions: Pick<ReadonlyMap<SharedSubscription, unknown>, "keys">;
  readonly since: Position;
  readonly lease: ReplayLease;
  /** Whether the client still waits for the replay. */
  isWanted(): boolean;
};

/** Reads what clients missed from the history, with the proof that nothing else was stored for them. */
export class ReplayReader {
  readonly #parts: ReaderParts;
  readonly #cache: ReplayCache;
  /** Clients that missed the same publication share one object, and thereby the text encoded for it. */
  readonly #received = new WeakMap<StoredPublication, Received>();

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#cache = new ReplayCache(parts.history, parts.budget);
  }

  stop(): void {
    this.#cache.stop();
  }

  /** Returns everything stored after `since` for the subscriptions, or why that cannot be proven. */
  async read(request: ReplayRequest): Promise<Replay | NotRecovered> {
    const { bus, hub, history } = this.#parts;
    const { since } = request;
    const deadline = performance.now() + GIVE_UP_MS;
    const isWanted = () => performance.now() < deadline && request.isWanted();
    const needed = lastSequenceOf(since);
    while (isWanted()) {
      const { position } = hub.frontier;
      if (position?.epoch !== since.epoch || position.sequence < needed) {
        if (await isForeign(since, history, isWanted)) return "recreated";
      } else {
        const replay = await this.#readUpTo(request, position.sequence);
        if (replay !== "unreadable") return replay;
      }
      await delay(bus.health().alive ? RETRY_MS : 10 * RETRY_MS);
    }
    return "unreadable";
  }

  async #readUpTo(request: ReplayRequest, upTo: number): Promise<Replay | NotRecovered> {
    const { since } = request;
    const parts = await this.#readAll(request, upTo);
    if (typeof parts === "string") return parts;
    // All clients that share a read continue in the same tick.
    await this.#parts.slices.turn();
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

  /** Reads a few subscriptions at a time, so that a client with many does not fill the memory by itself. */
  async #readAll(
    { subscriptions, since, lease }: ReplayRequest,
    upTo: number,
  ): Promise<SubscriptionPart[] | ReplayFailure> {
    const parts: SubscriptionPart[] = [];
    const readings = byWidest([...subscriptions.keys()]);
    while (readings.length > 0) {
      const current = readings.splice(0, MAX_PARALLEL_READS);
      const reads = current.map(({ widest }) => this.#cache.read(this.#filterOf(widest), since, upTo, lease));
      for (const [at, part] of (await Promise.all(reads)).entries()) {
        if (typeof part === "string") return part;
        // The node that answered has not replicated everything: the rest may be what the client missed.
        if (part.through < upTo) return "unreadable";
        parts.push(...partsOfSubscriptions(current[at] as Reading, part));
      }
      if (lease.isEvicted) return "over-replay-limit";
    }
    return parts;
  }

  #filterOf(subscription: SharedSubscription): string {
    return this.#parts.subjects.historyOf(subscription.key) ?? "";
  }

  /** Returns publications in stream order, and the copies of each in the order in which every worker sends them. */
  #missedOf(parts: readonly SubscriptionPart[], since: Position, upTo: number): Missed[] {
    const missed = parts.flatMap(({ subscription, publications }) =>
      publications
        .filter(({ sequence }) => sequence <= upTo)
        .map((publication): Missed => ({ subscription, received: this.#receivedFrom(publication, since.epoch) })),
    );
    missed.sort(
      (one, other) =>
        sequenceOf(one.received) - sequenceOf(other.received) ||
        (one.subscription.tag < other.subscription.tag ? -1 : 1),
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
}

/** Returns the sequence of a stored publication; -1 for a live one. */
export function sequenceOf(received: Received | undefined): number {
  return received?.position?.sequence ?? -1;
}

/** Whether a client that resumes from `since` has this copy of a publication already. */
function hasCopy(since: Position, received: Received, { tag }: SharedSubscription): boolean {
  return since.copy !== undefined && sequenceOf(received) === lastSequenceOf(since) && tag <= since.copy;
}
