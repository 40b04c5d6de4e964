import { setTimeout as delay } from "node:timers/promises";
import type { History, ReadOutcome, StoredPublication } from "@fanwire/bus";
import type { HistoryState, Position } from "@fanwire/protocol";
import type { Account, MemoryBudget } from "../connections/memory-budget.ts";

/** Clients that resume within this time share a read of the history. */
const GATHER_MS = 20;
/** Under a stampede, readers wait this multiple of the time that a read takes, so that a fifth of the time is spent reading. */
const GATHER_READS = 4;
const MAX_GATHER_MS = 200;
/** Parts that no client read for this time are dropped. */
const DROP_AFTER_MS = 10_000;
/** Maximum number of publications replayed for one subscription. A client that missed more starts live. */
const MAX_REPLAY = 10_000;
const PAGE_LIMIT = 500;
/** Maximum share of the budget for one part. A client that missed more starts live. */
const MAX_SHARE = 0.5;
/** Maximum bytes of a page, because live publications wait behind it on the connection to NATS. */
const MAX_PAGE_BYTES = 1_048_576;
const MIN_PAGE_BYTES = 65_536;
/** Approximate memory of a publication beside its content. The content counts twice, because it is also encoded as text. */
const PUBLICATION_BYTES = 500;
const CONTENT_COPIES = 2;
/** Failed reads are repeated for this time, because JetStream may be without a leader for seconds. */
const PATIENCE_MS = 8_000;
const RETRY_MS = 250;
/** Time for which a read waits for memory before the largest holder is evicted. */
const ROOM_MS = 1_000;

export type ReplayPart = {
  /** Publications after the reader's position, in stream order. */
  readonly publications: readonly StoredPublication[];
  /** Sequence up to which the publications are complete. */
  readonly through: number;
  readonly history: HistoryState;
};

/** `over-replay-limit`: the client missed more than the limits of one replay. */
export type ReplayFailure = "recreated" | "unreadable" | "over-replay-limit";

/** The parts that one client uses, until they were sent or the client has disconnected. */
export class ReplayLease {
  readonly #parts = new Set<SharedPart>();

  /** A part was evicted because others need the memory, so that the client must release it too. */
  get isEvicted(): boolean {
    for (const part of this.#parts) if (part.isEvicted) return true;
    return false;
  }

  /** Other clients use the same parts. */
  get isShared(): boolean {
    for (const part of this.#parts) if (part.readers > 1) return true;
    return false;
  }

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

/** The memory budget as replays see it, and the number of reads under way. */
class ReplayMemory {
  reading = 0;
  readonly #budget: MemoryBudget;
  readonly #dropUnused: () => void;

  constructor(budget: MemoryBudget, dropUnused: () => void) {
    this.#budget = budget;
    this.#dropUnused = dropUnused;
  }

  /** Drops unused parts if there is no room otherwise. */
  hasRoom(): boolean {
    if (this.isSpent) this.#dropUnused();
    return !this.isSpent;
  }

  get isSpent(): boolean {
    return this.#budget.freeBytes < CONTENT_COPIES * MIN_PAGE_BYTES;
  }

  get pageBytes(): number {
    const share = this.#budget.freeBytes / CONTENT_COPIES / Math.max(1, this.reading);
    return Math.min(MAX_PAGE_BYTES, Math.max(MIN_PAGE_BYTES, Math.floor(share)));
  }

  isTooMuch(bytes: number): boolean {
    return bytes > this.#budget.maxBytes * MAX_SHARE;
  }

  open(evict: () => void): Account {
    return this.#budget.open(evict);
  }

  makeRoomFor(account: Account): void {
    this.#budget.evictFor(account);
  }
}

/**
 * Reads the history for clients that resume. Clients with the same subscription share a read, so that ten thousand of them cost a
 * few dozen reads.
 */
export class ReplayCache {
  readonly #history: Pick<History, "read">;
  readonly #parts = new Map<string, SharedPart>();
  readonly #memory: ReplayMemory;
  readonly #timer: NodeJS.Timeout;

  constructor(history: Pick<History, "read">, budget: MemoryBudget) {
    this.#history = history;
    this.#memory = new ReplayMemory(budget, () => this.#dropUnused());
    this.#timer = setInterval(() => this.#dropOld(), DROP_AFTER_MS);
  }

  /** Returns everything stored for `filter` after a position, or why that failed. `upTo` is the sequence of a stored publication. */
  async read(filter: string, since: Position, upTo: number, lease: ReplayLease): Promise<ReplayPart | ReplayFailure> {
    const { epoch, sequence: after } = since;
    let part = this.#parts.get(filter);
    if (part === undefined || part.since.epoch !== epoch || part.since.sequence > after || part.isSpent) {
      part?.unlist();
      part = new SharedPart(this.#history, filter, since, this.#memory);
      this.#parts.set(filter, part);
    }
    lease.hold(part);
    const history = await part.extend(upTo);
    if (typeof history === "string") return history;
    const { publications, through } = part;
    return { publications: publications.filter(({ sequence }) => sequence > after), through, history };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#parts.clear();
  }

  #dropUnused(): void {
    for (const [filter, part] of this.#parts) {
      if (part.readers > 0) continue;
      this.#parts.delete(filter);
      part.unlist();
      if (!this.#memory.isSpent) return;
    }
  }

  #dropOld(): void {
    const now = performance.now();
    for (const [filter, part] of this.#parts) {
      if (now - part.usedAt <= DROP_AFTER_MS) continue;
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
  /** It failed, or holds too much. The next reader gets a new part. */
  isSpent = false;
  /** Number of leases that hold this part. */
  readers = 0;
  /** It was dropped to make room for others. */
  isEvicted = false;

  readonly #memory: ReplayMemory;
  readonly #account: Account;
  /** Highest sequence that a reader knows to be stored. */
  #upTo = 0;
  #hasServed = false;
  #isListed = true;
  readonly #history: Pick<History, "read">;
  readonly #filter: string;
  #reading: Promise<unknown> = Promise.resolve();
  #readAt = Number.NEGATIVE_INFINITY;
  #readMs = 0;
  #next: Promise<HistoryState | ReplayFailure> | undefined;

  constructor(history: Pick<History, "read">, filter: string, since: Position, memory: ReplayMemory) {
    this.#history = history;
    this.#memory = memory;
    this.#account = memory.open(() => this.#evict());
    this.#filter = filter;
    this.since = since;
    this.through = since.sequence;
  }

  /** Must be called when the cache no longer offers this part. Its readers keep it. */
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
    // Earlier readers still hold the publications.
    if (!this.#hasServed) this.#free();
  }

  #evict(): void {
    this.isEvicted = true;
    this.isSpent = true;
    this.publications.length = 0;
  }

  #free(): void {
    this.#account.close();
    this.publications.length = 0;
  }

  /** Reads on to the end of the history, in a read that starts after this call. All callers before that start share it. */
  extend(upTo: number): Promise<HistoryState | ReplayFailure> {
    this.usedAt = performance.now();
    this.#upTo = Math.max(this.#upTo, upTo);
    this.#next ??= this.#extendSoon();
    return this.#next;
  }

  async #extendSoon(): Promise<HistoryState | ReplayFailure> {
    const isStampede = performance.now() - this.#readAt < MAX_GATHER_MS;
    const gatherMs = isStampede ? Math.max(GATHER_MS, GATHER_READS * this.#readMs) : GATHER_MS;
    await Promise.all([this.#reading, delay(Math.min(gatherMs, MAX_GATHER_MS))]);
    this.#next = undefined;
    const readAt = performance.now();
    this.#readAt = readAt;
    this.#memory.reading++;
    const reading = this.#readToEnd().finally(() => {
      this.#memory.reading--;
    });
    this.#reading = reading;
    const history = await reading;
    this.#readMs = performance.now() - readAt;
    if (typeof history === "string") this.#giveUp();
    else this.#hasServed = true;
    return history;
  }

  async #readToEnd(): Promise<HistoryState | ReplayFailure> {
    const begunAt = performance.now();
    const giveUpAt = begunAt + PATIENCE_MS;
    for (;;) {
      const hasRoom = this.#memory.hasRoom();
      if (!hasRoom && performance.now() - begunAt > ROOM_MS) this.#memory.makeRoomFor(this.#account);
      const page = hasRoom ? await this.#readPage() : undefined;
      if (this.isEvicted || this.#isTooMuch()) return "over-replay-limit";
      if (!page?.ok) {
        if (performance.now() > giveUpAt) return "unreadable";
        await delay(RETRY_MS);
        continue;
      }
      if (page.history.epoch !== this.since.epoch) return "recreated";
      if (page.isEnd) return page.history;
    }
  }

  async #readPage(): Promise<ReadOutcome> {
    const page = await this.#history.read({
      filter: this.#filter,
      after: this.through,
      upTo: this.#upTo,
      limit: PAGE_LIMIT,
      maxBytes: this.#memory.pageBytes,
    });
    if (!page.ok || page.history.epoch !== this.since.epoch || this.isEvicted) return page;
    this.publications.push(...page.publications);
    this.through = page.through;
    this.#account.take(page.publications.reduce((sum, each) => sum + bytesOf(each), 0));
    return page;
  }

  #isTooMuch(): boolean {
    return this.publications.length > MAX_REPLAY || this.#memory.isTooMuch(this.#account.bytes);
  }
}

function bytesOf({ content }: StoredPublication): number {
  return CONTENT_COPIES * content.length + PUBLICATION_BYTES;
}
