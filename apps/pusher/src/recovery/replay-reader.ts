import { setTimeout as delay } from "node:timers/promises";
import type { History } from "@fanwire/bus";
import type { NotRecovered, Position, Subjects } from "@fanwire/protocol";
import type { MemoryBudget } from "../connections/memory-budget.ts";
import { isForeign, lastSequenceOf } from "../history/foreign-position.ts";
import type { Hub } from "../hub/hub.ts";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import type { TimeSlices } from "../pacing/time-slices.ts";
import { type Missed, MissedLists } from "./missed-lists.ts";
import { ReplayCache, type ReplayFailure, type ReplayLease } from "./replay-cache.ts";
import { groupIntoReads, type SharedRead, SplitReads, type SubscriptionPart } from "./shared-reads.ts";

/** Delay of the first retry. Later ones double it, up to the maximum. */
const RETRY_MS = 20;
const MAX_RETRY_MS = 250;
/** A client is not recovered if the history was unreadable for this time. */
const GIVE_UP_MS = 10_000;
/** Maximum number of subscriptions of one client whose replays are read at the same time. */
const MAX_PARALLEL_READS = 8;

type ReaderParts = {
  readonly history: History;
  readonly subjects: Subjects;
  readonly hub: Hub;
  readonly budget: MemoryBudget;
  readonly slices: TimeSlices;
};

export type Replay = {
  readonly missed: readonly Missed[];
  /** Position up to which the replay is complete. */
  readonly upTo: Position;
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
  readonly #splits: SplitReads;
  readonly #lists: MissedLists;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
    this.#cache = new ReplayCache(parts.history, parts.budget);
    this.#splits = new SplitReads(parts.subjects);
    this.#lists = new MissedLists(parts.subjects, parts.slices);
  }

  stop(): void {
    this.#cache.stop();
  }

  /**
   * Returns everything stored after `since` for the subscriptions, or why that cannot be proved. `evicted`: others need
   * the memory.
   */
  async read(request: ReplayRequest): Promise<Replay | NotRecovered | "evicted"> {
    const { hub, history, slices } = this.#parts;
    const { since } = request;
    const deadline = performance.now() + GIVE_UP_MS;
    const isWanted = () => performance.now() < deadline && request.isWanted();
    const needed = lastSequenceOf(since);
    for (let retryMs = RETRY_MS; isWanted(); retryMs = Math.min(2 * retryMs, MAX_RETRY_MS)) {
      const { position } = hub.frontier;
      if (position?.epoch !== since.epoch || position.sequence < needed) {
        if (await isForeign(since, history, isWanted)) return "recreated";
      } else {
        const replay = await this.#readUpTo(request, position.sequence);
        if (replay !== "unreadable") return replay;
      }
      // Thousands of clients may be ahead of their worker. They must not all retry in the same tick.
      await delay(retryMs * (0.5 + Math.random()));
      if (!slices.mayWorkNow()) await slices.turn();
    }
    return "unreadable";
  }

  async #readUpTo(request: ReplayRequest, upTo: number): Promise<Replay | NotRecovered | "evicted"> {
    const { since } = request;
    const { slices } = this.#parts;
    const parts = await this.#readAll(request, upTo);
    if (typeof parts === "string") return parts;
    const lists: (readonly Missed[])[] = [];
    for (const part of parts) {
      // All clients that share a read continue in the same tick.
      await slices.turn();
      const filter = this.#filterOf(part.subscription);
      const counts = this.#lists.countsOf(part);
      lists.push(this.#lists.of(part, since, upTo));
      const { unread, history } = part;
      const missing = await this.#parts.history.missing({ filter, since, counts, unread, history });
      if (!missing.ok) return "unreadable";
      if (missing.reason !== undefined) return missing.reason;
    }
    const missed = await this.#lists.merged(lists);
    // Clients that share an answer or a list continue in the same tick, too.
    await slices.turn();
    return { missed, upTo: { epoch: since.epoch, sequence: upTo } };
  }

  /** Reads a few subscriptions at a time, so that a client with many does not fill the memory by itself. */
  async #readAll(
    { subscriptions, since, lease }: ReplayRequest,
    upTo: number,
  ): Promise<SubscriptionPart[] | ReplayFailure> {
    const { slices } = this.#parts;
    const parts: SubscriptionPart[] = [];
    // The patterns of a client are compared with each other, and thousands of clients may begin in the same tick.
    if (!slices.mayWorkNow()) await slices.turn();
    const waiting = groupIntoReads([...subscriptions.keys()]);
    while (waiting.length > 0) {
      const current = waiting.splice(0, MAX_PARALLEL_READS);
      const reads = current.map(({ widest }) => this.#cache.read(this.#filterOf(widest), since, upTo, lease));
      const outcomes = await Promise.all(reads);
      // It may be the reason why others were evicted.
      if (outcomes.includes("over-replay-limit")) return "over-replay-limit";
      for (const [at, part] of outcomes.entries()) {
        if (typeof part === "string") return part;
        // The node that answered has not replicated everything: the rest may be what the client missed.
        if (part.through < upTo) return "unreadable";
        const read = current[at] as SharedRead;
        if (read.covered.length === 0) parts.push({ ...part, subscription: read.widest });
        else parts.push(...(await slices.carryOut(this.#splits.of(read, part))));
      }
      if (lease.isEvicted) return this.#cache.lossOf(lease);
    }
    return parts;
  }

  #filterOf(subscription: SharedSubscription): string {
    return this.#parts.subjects.historyOf(subscription.subject) ?? "";
  }
}
