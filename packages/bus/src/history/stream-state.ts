import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { CoalescedRequest } from "../connection/coalesced-request.ts";
import { isEarlierEpoch } from "./epoch.ts";
import { type Failed, failed, failureOf } from "./failures.ts";
import type { StoredMessage } from "./leader-messages.ts";
import type { HistoryStream, OpenStream } from "./stream.ts";

/** Maximum time until an append or read detects a recreated stream. */
const TRUSTED_FOR_MS = 1_000;
/** A former leader that hung returns outdated descriptions until it learns of its successor, at most for this time. */
const OUTDATED_FOR_MS = 15_000;
/** Random delay, so that processes that detect a rollback together do not all mark the stream. */
const MARK_WITHIN_MS = 500;

/** Maximum difference between two forms of the same time, in milliseconds. */
const ROUNDING_MS = 2;
/** Maximum difference between the clocks of NATS nodes. A later leader may store with an earlier time. */
const MAX_SKEW_MS = 5_000;

/** A publication that this process has seen stored. */
export type KnownPublication = Position & {
  /** Milliseconds since 1970, by the clock of the NATS server. */
  readonly storedAt: number;
};

type Found = Pick<StoredMessage, "sequence" | "time">;

type WatchParts = {
  readonly stream: Pick<HistoryStream, "open" | "mark">;
  readonly log: Log;
  /** Number of lost connections to NATS. After each the stream may be another one. */
  disconnects(): number;
  /** Returns the newest position that is recorded outside the history; undefined without a record. */
  newestRecorded(): Promise<Position | undefined>;
  /** Returns the newest publication that this process has read; undefined without one. */
  consumed(): KnownPublication | undefined;
  /** Returns the first stored publication from a sequence on. */
  next(sequence: number): Promise<Found | null>;
  /** Called with the epoch of each description. */
  onEpoch(epoch: string): void;
};

/**
 * Keeps the last description of the stream, and whether it can still be trusted. A stream that ends before a known
 * sequence was rolled back: restored from an older copy, or truncated by a crash. It will reuse sequences for other
 * publications, so it gets another epoch before any of them is used. If programs have reused them already, the stream
 * holds a later publication in the place of a known one.
 */
export class StreamWatch {
  readonly #shared: CoalescedRequest<OpenStream | Failed>;
  readonly #parts: WatchParts;
  #seen: OpenStream | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenAtDisconnects = -1;
  #isDoubted = true;
  #highest = 0;
  #newest: KnownPublication | undefined;
  /** Number of ended consumers, and those after which {@link #newest} was looked for in the stream. */
  #ended = 0;
  #verifiedAtEnded = 0;
  #rolledBackSince: number | undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#shared = new CoalescedRequest(() => this.#look());
  }

  get epoch(): string | undefined {
    return this.#seen?.history.epoch;
  }

  /** Time in which the stream detects duplicates of a message id, in milliseconds. */
  get duplicateWindowMs(): number {
    return this.#seen?.duplicateWindowMs ?? 0;
  }

  /** The last description; undefined when the stream may have changed since. */
  get current(): OpenStream | undefined {
    return this.#isDoubted || this.#seenAtDisconnects !== this.#parts.disconnects() ? undefined : this.#seen;
  }

  /** Requests a description. Creates the stream when it is missing. */
  refresh(): Promise<OpenStream | Failed> {
    return this.#shared.get();
  }

  doubt(): void {
    this.#isDoubted = true;
  }

  /**
   * Records that the sequence is stored, if the epoch is the last one described. Must be called when a consumer has
   * ended, because its stream may have been deleted.
   */
  remember({ epoch, sequence }: Position, storedAt: number | undefined): void {
    this.#ended++;
    if (epoch !== this.epoch) return;
    this.#highest = Math.max(this.#highest, sequence);
    if (storedAt !== undefined) this.#note({ epoch, sequence, storedAt });
  }

  #note(known: KnownPublication | undefined): void {
    if (known === undefined || known.epoch !== this.epoch) return;
    if (known.epoch !== this.#newest?.epoch || known.sequence > this.#newest.sequence) this.#newest = known;
  }

  /**
   * Returns the epoch of a publication that was just stored. Requests a description if its sequence is not the highest.
   */
  async epochAt(sequence: number, isDuplicate: boolean): Promise<string | undefined> {
    const isOld = performance.now() - this.#seenAt > TRUSTED_FOR_MS;
    const isBackwards = !isDuplicate && sequence <= this.#highest;
    if (!isBackwards) this.#highest = Math.max(this.#highest, sequence);
    if (this.current !== undefined && !isOld && !isBackwards) return this.epoch;
    const described = await this.refresh();
    if (described.ok) return described.history.epoch;
    return isBackwards ? undefined : this.epoch;
  }

  async #look(): Promise<OpenStream | Failed> {
    const { stream, disconnects: countDisconnects, newestRecorded, consumed } = this.#parts;
    const disconnects = countDisconnects();
    // Must be taken before the description, because later positions would make a true description look rolled back.
    this.#note(consumed());
    const known: Position[] = this.epoch === undefined ? [] : [{ epoch: this.epoch, sequence: this.#highest }];
    if (this.#newest !== undefined) known.push(this.#newest);
    const ended = this.#ended;
    const isSuspect = ended !== this.#verifiedAtEnded || this.#seenAtDisconnects !== disconnects;
    const recorded =
      this.#seenAtDisconnects === disconnects ? undefined : await newestRecorded().catch(() => undefined);
    if (recorded !== undefined) known.push(recorded);
    const described = await stream.open();
    if (!described.ok) return described;
    const replaced = isSuspect ? await this.#replaced(described).catch(failureOf) : undefined;
    if (replaced !== undefined && "ok" in replaced) return replaced;
    const opened = await this.#checked(described, replaced ?? known.find((each) => isBeyond(each, described.history)));
    if (!opened.ok) return opened;
    this.#verifiedAtEnded = ended;
    const { epoch, lastSequence } = opened.history;
    this.#highest = epoch === this.epoch ? Math.max(this.#highest, lastSequence) : lastSequence;
    this.#seen = opened;
    this.#note({ epoch, sequence: lastSequence, storedAt: opened.lastStoredAt });
    this.#seenAt = performance.now();
    this.#seenAtDisconnects = disconnects;
    this.#isDoubted = false;
    this.#parts.onEpoch(epoch);
    return opened;
  }

  /**
   * Returns the newest known publication if the stream holds another one in its place. If that place is empty, because
   * it was dropped, the nearest publication before it proves the same if it was stored later.
   */
  async #replaced({ history }: OpenStream): Promise<KnownPublication | undefined> {
    const newest = this.#newest;
    if (newest === undefined || newest.epoch !== history.epoch || newest.sequence > history.lastSequence) {
      return undefined;
    }
    const found = await this.#lastUpTo(newest.sequence, Math.max(history.firstSequence, 1));
    if (found === undefined) return undefined;
    const laterMs = found.time.getTime() - newest.storedAt;
    const isOther = found.sequence === newest.sequence ? Math.abs(laterMs) > ROUNDING_MS : laterMs > MAX_SKEW_MS;
    return isOther ? newest : undefined;
  }

  /** Returns the last stored publication up to a sequence. JetStream finds only the first one from a sequence on. */
  async #lastUpTo(end: number, first: number): Promise<Found | undefined> {
    const nextUpTo = async (from: number) => {
      const next = await this.#parts.next(from);
      return next !== null && next.sequence <= end ? next : undefined;
    };
    let found = await nextUpTo(end);
    let empty = end;
    for (let back = 1; found === undefined && empty > first; back *= 2) {
      const from = Math.max(end - back, first);
      found = await nextUpTo(from);
      if (found === undefined) empty = from;
    }
    while (found !== undefined && empty - found.sequence > 1) {
      const middle = Math.floor((found.sequence + empty) / 2);
      const later: Found | undefined = await nextUpTo(middle);
      if (later === undefined) empty = middle;
      else found = later;
    }
    return found;
  }

  /** Returns the description; of a stream that was rolled back behind a known position, with another epoch. */
  async #checked(described: OpenStream, beyond: Position | undefined): Promise<OpenStream | Failed> {
    const { history, hasCopies } = described;
    if (beyond === undefined) {
      this.#rolledBackSince = undefined;
      return described;
    }
    const now = performance.now();
    this.#rolledBackSince ??= now;
    if (hasCopies && now - this.#rolledBackSince < OUTDATED_FOR_MS) {
      return failed("unusable", "NATS describes an outdated history", true);
    }
    await delay(Math.random() * MARK_WITHIN_MS);
    const marked = await this.#parts.stream.mark(history.epoch);
    const { epoch, lastSequence } = history;
    this.#parts.log.error(
      { epoch, lastSequence, known: beyond, marked: marked.ok ? marked.history.epoch : marked.detail },
      "history stream lost its newest publications, positions in it are invalid",
    );
    if (!marked.ok) return { ...marked, detail: `the history was rolled back and cannot be marked: ${marked.detail}` };
    this.#rolledBackSince = undefined;
    return marked;
  }
}

function isBeyond(known: Position, { epoch, lastSequence }: OpenStream["history"]): boolean {
  return isEarlierEpoch(epoch, known.epoch) || (epoch === known.epoch && lastSequence < known.sequence);
}
