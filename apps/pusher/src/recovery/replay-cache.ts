import { setTimeout as delay } from "node:timers/promises";
import type { History, ReadOutcome, ReadPage, StoredPublication } from "@fanwire/bus";
import type { Position } from "@fanwire/protocol";
import type { Account, MemoryBudget } from "../connections/memory-budget.ts";
import { bytesOf, PAGE_LIMIT, ReplayMemory } from "./replay-memory.ts";

/** Clients that resume within this time share a read of the history. */
const GATHER_MS = 20;
/**
 * Under a stampede, readers wait this multiple of the time that a read takes, so that a fifth of the time is spent
 * reading.
 */
const GATHER_READS = 4;
const MAX_GATHER_MS = 200;
/** Clients share a part of this many bytes, however little of it they need. */
const SMALL_BYTES = 1_048_576;
/** Maximum number of parts of one subscription. Clients that resume from far apart positions use different ones. */
const MAX_PARTS = 16;
/** Parts that no client read for this time are dropped. */
const DROP_AFTER_MS = 10_000;
/** Maximum number of publications replayed for one subscription. A client that missed more starts live. */
const MAX_REPLAY = 10_000;
/** Failed reads are repeated for this time, because JetStream may be without a leader for seconds. */
const PATIENCE_MS = 8_000;
const RETRY_MS = 250;

export type ReplayPart = {
  /** Publications after the reader's position, in stream order. */
  readonly publications: readonly StoredPublication[];
  /** Sequence up to which the publications are complete. */
  readonly through: number;
} & ReadEnd;

/** State of the history at the end of a read. */
type ReadEnd = Pick<ReadPage, "history" | "unread">;

/**
 * `over-replay-limit`: the client missed more than the limits of one replay. `evicted`: others need the memory, so that
 * the client has to resume again.
 */
export type ReplayFailure = "recreated" | "unreadable" | "over-replay-limit" | "evicted";

/** The parts that one client uses, until they were sent or the client has disconnected. */
export class ReplayLease {
  /** By part, the bytes of what the client missed, which other clients of the part do not change. */
  readonly #parts = new Map<SharedPart, () => number>();

  /** A part was evicted because others need the memory, so that the client must release it too. */
  get isEvicted(): boolean {
    for (const part of this.#parts.keys()) if (part.isEvicted) return true;
    return false;
  }

  /** Other clients use the same parts. */
  get isShared(): boolean {
    for (const part of this.#parts.keys()) if (part.readers > 1) return true;
    return false;
  }

  /** Bytes of what the client missed in all parts, also in those that were evicted. */
  get bytes(): number {
    let bytes = 0;
    for (const missed of this.#parts.values()) bytes += missed();
    return bytes;
  }

  /** Holds a part that is read for a client at this sequence. */
  hold(part: SharedPart, after: number): void {
    if (!this.#parts.has(part)) part.hold();
    this.#parts.set(part, () => part.bytesAfter(after));
  }

  /** Must be called when a part has been read. */
  onRead(part: SharedPart, missedBytes: number): void {
    this.#parts.set(part, () => missedBytes);
  }

  release(part: SharedPart): void {
    if (this.#parts.delete(part)) part.release();
  }

  end(): void {
    for (const part of this.#parts.keys()) this.release(part);
  }
}

/**
 * Reads the history for clients that resume. Clients with the same subscription share a read, so that ten thousand of
 * them cost a few dozen reads.
 */
export class ReplayCache {
  readonly #history: Pick<History, "read">;
  /** By filter, the last used ones last. */
  readonly #parts = new Map<string, Set<SharedPart>>();
  readonly #memory: ReplayMemory<SharedPart>;
  readonly #timer: NodeJS.Timeout;

  constructor(history: Pick<History, "read">, budget: MemoryBudget) {
    this.#history = history;
    this.#memory = new ReplayMemory<SharedPart>(budget, (part) => this.#unlist(part));
    this.#timer = setInterval(() => this.#dropOld(), DROP_AFTER_MS);
  }

  /**
   * Returns everything stored for `filter` after a position, or why that failed. `upTo` is the sequence of a stored
   * publication.
   */
  async read(filter: string, since: Position, upTo: number, lease: ReplayLease): Promise<ReplayPart | ReplayFailure> {
    let from = 0;
    for (;;) {
      const part = this.#partFor(filter, since, from);
      lease.hold(part, since.sequence);
      const end = await part.extend(upTo);
      if (typeof end !== "string") {
        const { publications, bytes } = part.missedAfter(since.sequence);
        lease.onRead(part, bytes);
        return { publications, through: part.through, ...end };
      }
      this.#unlist(part);
      const failure = end === "evicted" ? this.lossOf(lease) : end;
      lease.release(part);
      if (failure === "recreated" || failure === "unreadable" || part.isTooMuchFor(since.sequence)) return failure;
      // Others have missed too much, not this reader. It must not join a part that begins as early again.
      from = part.since.sequence + 1;
    }
  }

  /** Returns why a part of a client's replay was evicted: others need the memory, or the client needs too much. */
  lossOf(lease: ReplayLease): "evicted" | "over-replay-limit" {
    return lease.bytes > this.#memory.maxReplayBytes ? "over-replay-limit" : "evicted";
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#parts.clear();
  }

  /** Returns the part that begins closest before a position. Creates one if no part fits. */
  #partFor(filter: string, since: Position, from: number): SharedPart {
    const listed = this.#parts.get(filter) ?? new Set();
    const usable = [...listed].filter((part) => part.since.sequence >= from && part.isUsefulFor(since));
    const [closest] = usable.sort((one, other) => other.since.sequence - one.since.sequence);
    const part = closest ?? new SharedPart(this.#history, filter, since, this.#memory);
    listed.delete(part);
    listed.add(part);
    this.#parts.set(filter, listed);
    const [unused] = listed;
    if (unused && listed.size > MAX_PARTS) this.#unlist(unused);
    return part;
  }

  #unlist(part: SharedPart): void {
    const listed = this.#parts.get(part.filter);
    if (!listed?.delete(part)) return;
    if (listed.size === 0) this.#parts.delete(part.filter);
    part.unlist();
  }

  #dropOld(): void {
    const now = performance.now();
    for (const listed of this.#parts.values()) {
      for (const part of listed) if (now - part.usedAt > DROP_AFTER_MS) this.#unlist(part);
    }
  }
}

type MissedPublications = { readonly publications: readonly StoredPublication[]; readonly bytes: number };

class SharedPart {
  readonly since: Position;
  through: number;
  usedAt = performance.now();
  /** Number of leases that hold this part. */
  readers = 0;
  /** It was dropped to make room for others. */
  isEvicted = false;
  /** Memory of everything that was read, also if it was dropped since. */
  bytes = 0;
  readonly filter: string;

  readonly #memory: ReplayMemory<SharedPart>;
  readonly #account: Account;
  /** Why the publications were dropped. The part is not extended afterwards, because it would lack them. */
  #failure: ReplayFailure | undefined;
  readonly #publications: StoredPublication[] = [];
  /** A reader after this sequence needs at most half of the part. */
  #middle = 0;
  /** Readers before this position missed more than the limits. */
  #tooMuchBefore = 0;
  /** The list of the last reader. The next ones probably have the same position. */
  #given: ({ readonly after: number; readonly through: number } & MissedPublications) | undefined;
  /** Highest sequence that a reader knows to be stored. */
  #upTo = 0;
  #isListed = true;
  readonly #history: Pick<History, "read">;
  #reading: Promise<unknown> = Promise.resolve();
  #readAt = Number.NEGATIVE_INFINITY;
  #readMs = 0;
  #next: Promise<ReadEnd | ReplayFailure> | undefined;

  constructor(history: Pick<History, "read">, filter: string, since: Position, memory: ReplayMemory<SharedPart>) {
    this.#history = history;
    this.#memory = memory;
    this.#account = memory.open(() => this.#evict());
    this.filter = filter;
    this.since = since;
    this.through = since.sequence;
  }

  /** Whether a reader needs much of it. A part that all readers join would grow for as long as clients resume. */
  isUsefulFor({ epoch, sequence }: Position): boolean {
    if (this.#failure !== undefined || this.since.epoch !== epoch || this.since.sequence > sequence) return false;
    return this.#account.bytes <= SMALL_BYTES || sequence < this.#middle;
  }

  /** Whether a reader exceeds the limits by what it missed itself. */
  isTooMuchFor(after: number): boolean {
    return after < this.#tooMuchBefore;
  }

  /** Returns what a reader at a sequence missed. Readers with the same position get the same list. */
  missedAfter(after: number): MissedPublications {
    const { through } = this;
    if (this.#given?.after !== after || this.#given.through !== through) {
      const first = this.#publications.findIndex(({ sequence }) => sequence > after);
      const publications = first === -1 ? [] : this.#publications.slice(first);
      this.#given = { after, through, publications, bytes: sumOf(publications) };
    }
    return this.#given;
  }

  /**
   * Returns the bytes that a reader at a sequence has missed so far. If the part was dropped, they are known only for a
   * reader at its beginning.
   */
  bytesAfter(after: number): number {
    if (after <= this.since.sequence) return this.bytes;
    return sumOf(this.#publications.filter(({ sequence }) => sequence > after));
  }

  hold(): void {
    this.readers++;
    this.#memory.unused.delete(this);
  }

  release(): void {
    this.readers--;
    this.#onRelease();
  }

  /** Must be called when the cache no longer offers this part. Its readers keep it. */
  unlist(): void {
    this.#isListed = false;
    this.#onRelease();
  }

  #onRelease(): void {
    if (this.readers > 0) return;
    if (this.#isListed) {
      this.#memory.unused.add(this);
      return;
    }
    this.#memory.unused.delete(this);
    this.#free();
  }

  #giveUp(failure: ReplayFailure): void {
    this.#failure = failure;
    if (!this.isEvicted) this.#tooMuchBefore = this.#lowestAfter(MAX_REPLAY, this.#memory.maxReplayBytes);
    this.#forget();
  }

  #evict(): void {
    this.isEvicted = true;
    this.#failure = "evicted";
    this.#tooMuchBefore = this.since.sequence + 1;
    this.#forget();
  }

  #free(): void {
    this.#account.close();
    this.#forget();
  }

  #forget(): void {
    this.#publications.length = 0;
    this.#given = undefined;
  }

  /**
   * Reads on to the end of the history, in a read that starts after this call. All callers before that start share it.
   */
  extend(upTo: number): Promise<ReadEnd | ReplayFailure> {
    this.usedAt = performance.now();
    this.#upTo = Math.max(this.#upTo, upTo);
    this.#next ??= this.#extendSoon();
    return this.#next;
  }

  async #extendSoon(): Promise<ReadEnd | ReplayFailure> {
    const isStampede = performance.now() - this.#readAt < MAX_GATHER_MS;
    const gatherMs = isStampede ? Math.max(GATHER_MS, GATHER_READS * this.#readMs) : GATHER_MS;
    await Promise.all([this.#reading, delay(Math.min(gatherMs, MAX_GATHER_MS))]);
    this.#next = undefined;
    if (this.#failure !== undefined) return this.#failure;
    const readAt = performance.now();
    this.#readAt = readAt;
    this.#memory.reading++;
    const reading = this.#readToEnd().finally(() => {
      this.#memory.reading--;
    });
    this.#reading = reading;
    const end = await reading;
    this.#readMs = performance.now() - readAt;
    if (typeof end === "string") this.#giveUp(end);
    return end;
  }

  async #readToEnd(): Promise<ReadEnd | ReplayFailure> {
    const begunAt = performance.now();
    const giveUpAt = begunAt + PATIENCE_MS;
    for (;;) {
      const page = await this.#readPage();
      if (this.isEvicted) return "evicted";
      if (this.#isTooMuch()) return "over-replay-limit";
      if (!page?.ok) {
        if (performance.now() > giveUpAt) return "unreadable";
        await (page === undefined ? this.#memory.waitForRoom(this.#account, begunAt) : delay(RETRY_MS));
        continue;
      }
      if (page.history.epoch !== this.since.epoch) return "recreated";
      if (page.isEnd) return { history: page.history, unread: page.unread };
    }
  }

  /** Returns undefined if there is no memory for a page. */
  async #readPage(): Promise<ReadOutcome | undefined> {
    const reserved = this.#memory.reserve();
    if (reserved === undefined) return undefined;
    let page: ReadOutcome;
    try {
      page = await this.#history.read({
        filter: this.filter,
        after: this.through,
        upTo: this.#upTo,
        limit: PAGE_LIMIT,
        maxBytes: reserved.maxBytes,
      });
    } finally {
      reserved.release();
    }
    if (!page.ok || page.history.epoch !== this.since.epoch || this.isEvicted) return page;
    this.#publications.push(...page.publications);
    this.through = page.through;
    const bytes = sumOf(page.publications);
    this.bytes += bytes;
    // A replay that will be refused must not evict others.
    if (this.#isTooMuch()) return page;
    this.#memory.makeRoom(bytes);
    this.#account.take(bytes);
    this.#middle = this.#lowestAfter(Number.POSITIVE_INFINITY, this.bytes / 2);
    return page;
  }

  #isTooMuch(): boolean {
    return this.#publications.length > MAX_REPLAY || this.bytes > this.#memory.maxReplayBytes;
  }

  /** Returns the lowest sequence after which the part has at most this number of publications and bytes. */
  #lowestAfter(maxCount: number, maxBytes: number): number {
    let count = 0;
    let bytes = 0;
    const excess = this.#publications.findLast((publication) => {
      count++;
      bytes += bytesOf(publication);
      return count > maxCount || bytes > maxBytes;
    });
    return excess?.sequence ?? this.since.sequence;
  }
}

function sumOf(publications: readonly StoredPublication[]): number {
  return publications.reduce((sum, each) => sum + bytesOf(each), 0);
}
