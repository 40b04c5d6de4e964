import { setTimeout as delay } from "node:timers/promises";
import type { History, StoredPublication } from "@fanwire/bus";
import type { HistoryState, Position } from "@fanwire/protocol";

/** Readers that come within this time share a read of the history. */
const GATHER_MS = 20;
/** While they come one after another they wait so many times as long as a read takes, up to a time: a fifth of it is spent reading. */
const GATHER_READS = 4;
const MAX_GATHER_MS = 200;
/** What nobody asked for during this time is forgotten. */
const FORGET_AFTER_MS = 10_000;
/** Most publications replayed to one reader for one thing it follows; who missed more starts live. */
const MAX_REPLAY = 10_000;
const PAGE_LIMIT = 500;
/**
 * Most that all replays of a worker hold together: who begins waits for room, who would need more starts live. What is followed by other patterns is read anew, so
 * that one connection could have the history a hundred times over.
 */
const MAX_HELD_BYTES = 134_217_728;
/** Of what reads share; a page takes no more of what is left. */
const MAX_PAGE_BYTES = 4_194_304;
const MIN_PAGE_BYTES = 65_536;
/** What a publication costs beside its content, about. */
const PUBLICATION_BYTES = 500;
/** For so long is asked again what cannot be read: JetStream may be without a leader for seconds. */
const PATIENCE_MS = 8_000;
const RETRY_MS = 250;

export type ReplayPart = {
  /** In order, all after where the reader stood. */
  readonly publications: readonly StoredPublication[];
  /** All that was stored up to here is among them. */
  readonly through: number;
  readonly history: HistoryState;
};

/** What one reader holds of what was read, until it has got it or has gone. */
export class ReplayLease {
  readonly #parts = new Set<SharedPart>();

  hold(part: SharedPart): void {
    if (this.#parts.has(part)) return;
    this.#parts.add(part);
    part.readers++;
  }

  end(): void {
    for (const part of this.#parts) {
      part.readers--;
      part.freeIfUnused();
    }
    this.#parts.clear();
  }
}

/** How much of the memory for replays is taken. */
class Budget {
  heldBytes = 0;
  reading = 0;
  readonly #forgetUnused: () => void;

  constructor(forgetUnused: () => void) {
    this.#forgetUnused = forgetUnused;
  }

  /** What is only kept in case another reader comes gives way. */
  hasRoom(): boolean {
    if (this.isSpent) this.#forgetUnused();
    return !this.isSpent;
  }

  get isSpent(): boolean {
    return this.heldBytes > MAX_HELD_BYTES;
  }

  get pageBytes(): number {
    const share = (MAX_HELD_BYTES - this.heldBytes) / Math.max(1, this.reading);
    return Math.min(MAX_PAGE_BYTES, Math.max(MIN_PAGE_BYTES, Math.floor(share)));
  }
}

/**
 * Reads the history for readers that come back. Those of the same thing share what is read, so that ten thousand of them cost a few
 * dozen reads.
 */
export class ReplayCache {
  readonly #history: Pick<History, "read">;
  readonly #parts = new Map<string, SharedPart>();
  readonly #budget = new Budget(() => this.#forgetUnused());
  readonly #timer: NodeJS.Timeout;

  constructor(history: Pick<History, "read">) {
    this.#history = history;
    this.#timer = setInterval(() => this.#forget(), FORGET_AFTER_MS);
  }

  /** Bytes that are held for readers, or in case another comes. */
  get heldBytes(): number {
    return this.#budget.heldBytes;
  }

  /**
   * Everything stored for `filter` after a position; undefined when it cannot be read, or is too much. `upTo` is known to be
   * stored.
   */
  async read(filter: string, since: Position, upTo: number, lease: ReplayLease): Promise<ReplayPart | undefined> {
    const { epoch, sequence: after } = since;
    let part = this.#parts.get(filter);
    if (part === undefined || part.since.epoch !== epoch || part.since.sequence > after || part.isSpent) {
      part?.unlist();
      part = new SharedPart(this.#history, filter, since, this.#budget);
      this.#parts.set(filter, part);
    }
    lease.hold(part);
    const history = await part.extend(upTo);
    if (history === undefined) return undefined;
    const { publications, through } = part;
    return { publications: publications.filter(({ sequence }) => sequence > after), through, history };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#parts.clear();
  }

  #forgetUnused(): void {
    for (const [filter, part] of this.#parts) {
      if (part.readers > 0) continue;
      this.#parts.delete(filter);
      part.unlist();
      if (!this.#budget.isSpent) return;
    }
  }

  #forget(): void {
    const now = performance.now();
    for (const [filter, part] of this.#parts) {
      if (now - part.usedAt <= FORGET_AFTER_MS) continue;
      this.#parts.delete(filter);
      part.unlist();
    }
  }
}

class SharedPart {
  readonly since: Position;
  readonly publications: StoredPublication[] = [];
  through: number;
  usedAt = performance.now();
  /** It failed, or holds too much: the next reader begins anew. */
  isSpent = false;
  /** Who may still hold what was read. */
  readers = 0;

  readonly #budget: Budget;
  #heldBytes = 0;
  /** The newest that a reader knows to be stored. */
  #upTo = 0;
  #hasServed = false;
  #isListed = true;
  readonly #history: Pick<History, "read">;
  readonly #filter: string;
  #reading: Promise<unknown> = Promise.resolve();
  #readAt = Number.NEGATIVE_INFINITY;
  #readMs = 0;
  #next: Promise<HistoryState | undefined> | undefined;

  constructor(history: Pick<History, "read">, filter: string, since: Position, budget: Budget) {
    this.#history = history;
    this.#budget = budget;
    this.#filter = filter;
    this.since = since;
    this.through = since.sequence;
  }

  /** Nobody finds it any more; who has it keeps it. */
  unlist(): void {
    this.#isListed = false;
    this.freeIfUnused();
  }

  freeIfUnused(): void {
    if (this.readers === 0 && !this.#isListed) this.#free();
  }

  #giveUp(): void {
    this.isSpent = true;
    this.publications.length = 0;
    // Earlier readers still hold what they were given.
    if (!this.#hasServed) this.#free();
  }

  #free(): void {
    this.#budget.heldBytes -= this.#heldBytes;
    this.#heldBytes = 0;
    this.publications.length = 0;
  }

  /** Reads on to the end, in a read that begins after this call; all who call before it begins share it. */
  extend(upTo: number): Promise<HistoryState | undefined> {
    this.usedAt = performance.now();
    this.#upTo = Math.max(this.#upTo, upTo);
    this.#next ??= this.#extendSoon();
    return this.#next;
  }

  async #extendSoon(): Promise<HistoryState | undefined> {
    const isStampede = performance.now() - this.#readAt < MAX_GATHER_MS;
    const gatherMs = isStampede ? Math.max(GATHER_MS, GATHER_READS * this.#readMs) : GATHER_MS;
    await Promise.all([this.#reading, delay(Math.min(gatherMs, MAX_GATHER_MS))]);
    this.#next = undefined;
    const readAt = performance.now();
    this.#readAt = readAt;
    this.#budget.reading++;
    const reading = this.#readToEnd().finally(() => {
      this.#budget.reading--;
    });
    this.#reading = reading;
    const history = await reading;
    this.#readMs = performance.now() - readAt;
    if (history === undefined) this.#giveUp();
    else this.#hasServed = true;
    return history;
  }

  async #readToEnd(): Promise<HistoryState | undefined> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (let isFirst = true; ; ) {
      if (!this.#budget.hasRoom()) {
        if (!isFirst || performance.now() > giveUpAt) return undefined;
        await delay(RETRY_MS);
        continue;
      }
      isFirst = false;
      const page = await this.#history.read({
        filter: this.#filter,
        after: this.through,
        upTo: this.#upTo,
        limit: PAGE_LIMIT,
        maxBytes: this.#budget.pageBytes,
      });
      if (!page.ok && performance.now() < giveUpAt) {
        await delay(RETRY_MS);
        continue;
      }
      if (!page.ok || page.history.epoch !== this.since.epoch) return undefined;
      this.publications.push(...page.publications);
      this.through = page.through;
      const bytes = page.publications.reduce((sum, { content }) => sum + content.length + PUBLICATION_BYTES, 0);
      this.#heldBytes += bytes;
      this.#budget.heldBytes += bytes;
      if (this.publications.length > MAX_REPLAY) return undefined;
      if (page.isEnd) return page.history;
    }
  }
}
