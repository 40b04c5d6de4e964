import type { StoredPublication } from "@fanwire/bus";
import type { Account, MemoryBudget } from "../connections/memory-budget.ts";

/** Maximum number of publications of a page. */
export const PAGE_LIMIT = 500;
/** Maximum share of the budget for one replay. A client that missed more starts live. */
const MAX_SHARE = 0.75;
/** Maximum bytes of a page, because live publications wait behind it on the connection to NATS. */
const MAX_PAGE_BYTES = 1_048_576;
const MIN_PAGE_BYTES = 65_536;
/**
 * Approximate memory of a publication beside its content and headers. These count three times, because clients also
 * share the text and the frame, which the name of the event is part of.
 */
const PUBLICATION_BYTES = 500;
const COPIES = 3;
/** Interval of checks whether memory is free. */
const CHECK_MS = 250;
/** Time from the start of a read that lacks memory until the largest holder is evicted. */
const ROOM_MS = 1_000;

type WaitingRead = { readonly account: Account; readonly begunAt: number; wake(): void };

/** The memory budget as replays see it. `Part` is what readers share, and is dropped while nobody uses it. */
export class ReplayMemory<Part> {
  /** Number of reads under way. */
  reading = 0;
  /** Parts that no client uses, the longest unused first. */
  readonly unused = new Set<Part>();
  readonly #budget: MemoryBudget;
  readonly #drop: (part: Part) => void;
  /** Bytes for the pages that are being read. */
  #reservedBytes = 0;
  /** Reads that wait for memory, in order. There may be thousands, so they share a timer. */
  #waiting: WaitingRead[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(budget: MemoryBudget, drop: (part: Part) => void) {
    this.#budget = budget;
    this.#drop = drop;
  }

  get maxReplayBytes(): number {
    return this.#budget.maxBytes * MAX_SHARE;
  }

  open(evict: () => void): Account {
    return this.#budget.open(evict);
  }

  /** Reserves memory for one page, of `maxBytes` content and headers at most; returns undefined if none is free. */
  reserve(): { readonly maxBytes: number; release(): void } | undefined {
    this.makeRoom(memoryOf(MAX_PAGE_BYTES));
    const freeBytes = this.#budget.freeBytes - this.#reservedBytes;
    if (freeBytes < memoryOf(MIN_PAGE_BYTES)) return undefined;
    const share = (freeBytes / Math.max(1, this.reading) - memoryOf(0)) / COPIES;
    const maxBytes = Math.min(MAX_PAGE_BYTES, Math.max(MIN_PAGE_BYTES, Math.floor(share)));
    this.#reservedBytes += memoryOf(maxBytes);
    const release = () => {
      this.#reservedBytes -= memoryOf(maxBytes);
      this.#waiting.shift()?.wake();
    };
    return { maxBytes, release };
  }

  /** Drops unused parts until this many bytes are free. */
  makeRoom(bytes: number): void {
    for (const part of this.unused) {
      if (this.#budget.freeBytes - this.#reservedBytes >= bytes) return;
      this.#drop(part);
    }
  }

  /** Resolves when {@link reserve} may succeed. A read that began a while ago gets the memory of the largest holder. */
  waitForRoom(account: Account, begunAt: number): Promise<void> {
    this.#timer ??= setTimeout(() => this.#wakeAll(), CHECK_MS);
    return new Promise((wake) => this.#waiting.push({ account, begunAt, wake }));
  }

  #wakeAll(): void {
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#evictFor(waiting.filter(({ begunAt }) => performance.now() - begunAt > ROOM_MS));
    for (const { wake } of waiting) wake();
  }

  /** Evicts larger holders until the smallest of some reads can continue. */
  #evictFor([first, ...others]: readonly WaitingRead[]): void {
    if (first === undefined) return;
    const { account } = others.reduce(
      (least, each) => (each.account.bytes < least.account.bytes ? each : least),
      first,
    );
    while (this.#budget.freeBytes < memoryOf(MIN_PAGE_BYTES) && this.#budget.evictFor(account));
  }
}

/** Returns the memory of a publication. */
export function bytesOf({ content, headers }: Pick<StoredPublication, "content" | "headers">): number {
  return COPIES * (content.length + (headers?.bytes ?? 0)) + PUBLICATION_BYTES;
}

/** Memory of a page with this much content and headers, and as many publications as possible. */
function memoryOf(pageBytes: number): number {
  return COPIES * pageBytes + PAGE_LIMIT * PUBLICATION_BYTES;
}
