import { setTimeout as delay } from "node:timers/promises";
import type { DurableLog, LoggedPublication } from "@fanwire/bus";
import type { LogState, Position } from "@fanwire/protocol";

/** Readers that come within this time share a read of the log. */
const GATHER_MS = 20;
/** While they come one after another they wait so many times as long as a read takes, up to a time: a fifth of it is spent reading. */
const GATHER_READS = 4;
const MAX_GATHER_MS = 200;
/** What nobody asked for during this time is forgotten. */
const FORGET_AFTER_MS = 10_000;
/** Most publications replayed to one reader for one thing it follows; who missed more starts live. */
const MAX_REPLAY = 10_000;
const PAGE_LIMIT = 500;
/** For so long is asked again what cannot be read: JetStream may be without a leader for seconds. */
const PATIENCE_MS = 8_000;
const RETRY_MS = 250;

export type ReplayPart = {
  /** In order, all after where the reader stood. */
  readonly publications: readonly LoggedPublication[];
  readonly log: LogState;
};

/**
 * Reads the log for readers that come back. Those of the same thing share what is read, so that ten thousand of them cost a few
 * dozen reads.
 */
export class ReplayCache {
  readonly #log: Pick<DurableLog, "read">;
  readonly #parts = new Map<string, SharedPart>();
  readonly #timer: NodeJS.Timeout;

  constructor(log: Pick<DurableLog, "read">) {
    this.#log = log;
    this.#timer = setInterval(() => this.#forget(), FORGET_AFTER_MS);
  }

  /** Everything stored for `filter` after a position; undefined when it cannot be read, or is too much. */
  async read(filter: string, since: Position): Promise<ReplayPart | undefined> {
    const { epoch, sequence: after } = since;
    let part = this.#parts.get(filter);
    if (part === undefined || part.since.epoch !== epoch || part.since.sequence > after || part.isSpent) {
      part = new SharedPart(this.#log, filter, since);
      this.#parts.set(filter, part);
    }
    const log = await part.extend();
    if (log === undefined) return undefined;
    return { publications: part.publications.filter(({ sequence }) => sequence > after), log };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#parts.clear();
  }

  #forget(): void {
    const now = performance.now();
    for (const [filter, part] of this.#parts) {
      if (now - part.usedAt > FORGET_AFTER_MS) this.#parts.delete(filter);
    }
  }
}

class SharedPart {
  readonly since: Position;
  readonly publications: LoggedPublication[] = [];
  through: number;
  usedAt = performance.now();
  /** It failed, or holds too much: the next reader begins anew. */
  isSpent = false;

  readonly #log: Pick<DurableLog, "read">;
  readonly #filter: string;
  #reading: Promise<unknown> = Promise.resolve();
  #readAt = Number.NEGATIVE_INFINITY;
  #readMs = 0;
  #next: Promise<LogState | undefined> | undefined;

  constructor(log: Pick<DurableLog, "read">, filter: string, since: Position) {
    this.#log = log;
    this.#filter = filter;
    this.since = since;
    this.through = since.sequence;
  }

  /** Reads on to the end, in a read that begins after this call; all who call before it begins share it. */
  extend(): Promise<LogState | undefined> {
    this.usedAt = performance.now();
    this.#next ??= this.#extendSoon();
    return this.#next;
  }

  async #extendSoon(): Promise<LogState | undefined> {
    const isStampede = performance.now() - this.#readAt < MAX_GATHER_MS;
    const gatherMs = isStampede ? Math.max(GATHER_MS, GATHER_READS * this.#readMs) : GATHER_MS;
    await Promise.all([this.#reading, delay(Math.min(gatherMs, MAX_GATHER_MS))]);
    this.#next = undefined;
    const readAt = performance.now();
    this.#readAt = readAt;
    const reading = this.#readToEnd();
    this.#reading = reading;
    const log = await reading;
    this.#readMs = performance.now() - readAt;
    if (log === undefined) this.isSpent = true;
    return log;
  }

  async #readToEnd(): Promise<LogState | undefined> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const page = await this.#log.read({ filter: this.#filter, after: this.through, limit: PAGE_LIMIT });
      if (!page.ok && performance.now() < giveUpAt) {
        await delay(RETRY_MS);
        continue;
      }
      if (!page.ok || page.log.epoch !== this.since.epoch) return undefined;
      this.publications.push(...page.publications);
      this.through = page.next;
      if (this.publications.length > MAX_REPLAY) return undefined;
      if (page.isEnd) return page.log;
    }
  }
}
