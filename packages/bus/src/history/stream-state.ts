import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { CoalescedRequest } from "../connection/coalesced-request.ts";
import { isEarlierEpoch } from "./epoch.ts";
import { type Failed, failed } from "./failures.ts";
import type { HistoryStream, OpenStream } from "./stream.ts";

/** Maximum time until an append or read detects a recreated stream. */
const TRUSTED_FOR_MS = 1_000;
/** A former leader that hung returns outdated descriptions until it learns of its successor, at most for this time. */
const OUTDATED_FOR_MS = 15_000;
/** Random delay, so that processes that detect a rollback together do not all mark the stream. */
const MARK_WITHIN_MS = 500;

type WatchParts = {
  readonly stream: Pick<HistoryStream, "open" | "mark">;
  readonly log: Log;
  /** Number of lost connections to NATS. After each the stream may be another one. */
  disconnects(): number;
  /** Returns the newest position that is recorded outside the history; undefined without a record. */
  witness(): Promise<Position | undefined>;
};

/**
 * Keeps the last description of the stream, and whether it can still be trusted. A stream that ends before a known
 * sequence was rolled back: restored from an older copy, or truncated by a crash. It will reuse sequences for other
 * publications, so it gets another epoch before any of them is used.
 */
export class StreamWatch {
  readonly #shared: CoalescedRequest<OpenStream | Failed>;
  readonly #parts: WatchParts;
  #seen: OpenStream | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenAtDisconnects = -1;
  #isDoubted = true;
  #highest = 0;
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

  /** Records that the sequence is stored, if the epoch is the last one described. */
  remember({ epoch, sequence }: Position): void {
    if (epoch === this.epoch) this.#highest = Math.max(this.#highest, sequence);
  }

  /**
   * Returns the epoch of a publication that was just stored. Requests a description if its sequence is not the highest.
   */
  async epochAt(sequence: number, isDuplicate: boolean): Promise<string | undefined> {
    const isOld = performance.now() - this.#seenAt > TRUSTED_FOR_MS;
    const isBackwards = !isDuplicate && sequence <= this.#highest;
    if (!isBackwards) this.#highest = sequence;
    if (this.current !== undefined && !isOld && !isBackwards) return this.epoch;
    const described = await this.refresh();
    if (described.ok) return described.history.epoch;
    return isBackwards ? undefined : this.epoch;
  }

  async #look(): Promise<OpenStream | Failed> {
    const { stream, disconnects: countDisconnects, witness } = this.#parts;
    const disconnects = countDisconnects();
    // Must be taken before the description, because later positions would make a true description look rolled back.
    const known = this.epoch === undefined ? [] : [{ epoch: this.epoch, sequence: this.#highest }];
    const witnessed = this.#seenAtDisconnects === disconnects ? undefined : await witness().catch(() => undefined);
    if (witnessed !== undefined) known.push(witnessed);
    const described = await stream.open();
    if (!described.ok) return described;
    const opened = await this.#checked(described, known);
    if (!opened.ok) return opened;
    const { epoch, lastSequence } = opened.history;
    this.#highest = epoch === this.epoch ? Math.max(this.#highest, lastSequence) : lastSequence;
    this.#seen = opened;
    this.#seenAt = performance.now();
    this.#seenAtDisconnects = disconnects;
    this.#isDoubted = false;
    return opened;
  }

  /** Returns the description; of a stream that was rolled back, with another epoch. */
  async #checked(described: OpenStream, known: readonly Position[]): Promise<OpenStream | Failed> {
    const { history, hasCopies } = described;
    const beyond = known.find((position) => isBeyond(position, history));
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
