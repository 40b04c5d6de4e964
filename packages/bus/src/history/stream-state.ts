import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import { CoalescedRequest } from "../connection/coalesced-request.ts";
import { isEarlierEpoch } from "./epoch.ts";
import { type Failed, failed } from "./failures.ts";
import type { HistoryStream, OpenStream } from "./stream.ts";

/** While anybody appends or reads, a recreated stream is noticed within this time. */
const TRUSTED_FOR_MS = 1_000;
/** A node that hung while it led describes the stream as it was, until it hears of its successor. */
const BELIEVED_AFTER_MS = 15_000;
/** Processes that notice at once that the stream went back should not all mark it. */
const MARK_WITHIN_MS = 500;

type WatchParts = {
  readonly stream: Pick<HistoryStream, "open" | "mark">;
  readonly log: Log;
  /** Number of lost connections to NATS so far. After each the stream may be another one. */
  disconnects(): number;
  /** The newest position that is recorded outside the history; undefined when there is no record. */
  witness(): Promise<Position | undefined>;
};

/**
 * Remembers the last description of the stream, and whether it can still be trusted. A stream that ends before what was seen
 * of it went back: it was restored from an older copy, or lost its end in a crash. Its next sequences mean other
 * publications, so it gets another epoch before anybody is told one of them.
 */
export class StreamWatch {
  readonly #shared: CoalescedRequest<OpenStream | Failed>;
  readonly #parts: WatchParts;
  #seen: OpenStream | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;
  #seenAtDisconnects = -1;
  #isDoubted = true;
  #highest = 0;
  #wentBackSince: number | undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#shared = new CoalescedRequest(() => this.#look());
  }

  get epoch(): string | undefined {
    return this.#seen?.history.epoch;
  }

  /** For how long the stream knows what was stored under a message id, in milliseconds. */
  get duplicateWindowMs(): number {
    return this.#seen?.duplicateWindowMs ?? 0;
  }

  /** The stream as last described; undefined when it may have changed since. */
  get current(): OpenStream | undefined {
    return this.#isDoubted || this.#seenAtDisconnects !== this.#parts.disconnects() ? undefined : this.#seen;
  }

  /** Asks NATS for a description. Creates the stream when it is missing. */
  refresh(): Promise<OpenStream | Failed> {
    return this.#shared.get();
  }

  doubt(): void {
    this.#isDoubted = true;
  }

  /** Something with this sequence was stored in the stream as last seen. */
  remember({ epoch, sequence }: Position): void {
    if (epoch === this.epoch) this.#highest = Math.max(this.#highest, sequence);
  }

  /** The epoch of a publication that was stored just now. Asks again when its sequence does not follow those seen before. */
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
    // Must be taken before the description: what is learned later would make an honest description seem to go back.
    const known = this.epoch === undefined ? [] : [{ epoch: this.epoch, sequence: this.#highest }];
    const witnessed = this.#seenAtDisconnects === disconnects ? undefined : await witness().catch(() => undefined);
    if (witnessed !== undefined) known.push(witnessed);
    const described = await stream.open();
    if (!described.ok) return described;
    const opened = await this.#believed(described, known);
    if (!opened.ok) return opened;
    const { epoch, lastSequence } = opened.history;
    this.#highest = epoch === this.epoch ? Math.max(this.#highest, lastSequence) : lastSequence;
    this.#seen = opened;
    this.#seenAt = performance.now();
    this.#seenAtDisconnects = disconnects;
    this.#isDoubted = false;
    return opened;
  }

  /** The stream as described, or with another epoch when it has gone back. */
  async #believed(described: OpenStream, known: readonly Position[]): Promise<OpenStream | Failed> {
    const { history, hasCopies } = described;
    const beyond = known.find((position) => isBeyond(position, history));
    if (beyond === undefined) {
      this.#wentBackSince = undefined;
      return described;
    }
    const now = performance.now();
    this.#wentBackSince ??= now;
    if (hasCopies && now - this.#wentBackSince < BELIEVED_AFTER_MS) {
      return failed("unusable", "NATS describes less of the history than was stored", true);
    }
    await delay(Math.random() * MARK_WITHIN_MS);
    const marked = await this.#parts.stream.mark(history.epoch);
    const { epoch, lastSequence } = history;
    this.#parts.log.error(
      { epoch, lastSequence, known: beyond, marked: marked.ok ? marked.history.epoch : marked.detail },
      "the history has lost its newest part, positions in it are not valid any more",
    );
    if (!marked.ok) return { ...marked, detail: `the history went back and cannot be marked: ${marked.detail}` };
    this.#wentBackSince = undefined;
    return marked;
  }
}

function isBeyond(known: Position, { epoch, lastSequence }: OpenStream["history"]): boolean {
  return isEarlierEpoch(epoch, known.epoch) || (epoch === known.epoch && lastSequence < known.sequence);
}
