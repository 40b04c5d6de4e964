/** What one holder has taken of a budget. */
export type Account = {
  readonly bytes: number;
  take(bytes: number): void;
  give(bytes: number): void;
  /** Gives everything back. */
  close(): void;
};

/**
 * Bytes that all buffers of a worker may hold together: replays, backlogs, and content that waits for its turn. When there is
 * too much, the holder with the most has to let go of it.
 */
export class MemoryBudget {
  readonly maxBytes: number;
  #usedBytes = 0;
  #evictions = 0;
  readonly #holders = new Map<Account, () => void>();

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Times a holder had to let go of what it held. */
  get evictions(): number {
    return this.#evictions;
  }

  get freeBytes(): number {
    return Math.max(0, this.maxBytes - this.#usedBytes);
  }

  /** @param evict lets go of everything; the account is empty after the call. */
  open(evict: () => void): Account {
    const budget = this;
    let held = 0;
    const change = (bytes: number) => {
      held += bytes;
      this.#usedBytes += bytes;
    };
    const account: Account = {
      get bytes() {
        return held;
      },
      take(bytes) {
        if (held === 0) budget.#holders.set(account, evict);
        change(bytes);
        budget.#evictLargest();
      },
      give(bytes) {
        change(-Math.min(bytes, held));
        if (held === 0) budget.#holders.delete(account);
      },
      close() {
        account.give(held);
      },
    };
    return account;
  }

  /** Makes room at the cost of the holder with the most, if it holds more than this one. False: there is none. */
  evictFor(account: Account): boolean {
    const largest = this.#largest();
    if (largest === undefined || largest.bytes <= account.bytes) return false;
    this.#evict(largest);
    return true;
  }

  #evictLargest(): void {
    while (this.#usedBytes > this.maxBytes) {
      const largest = this.#largest();
      if (largest === undefined) return;
      this.#evict(largest);
    }
  }

  #largest(): Account | undefined {
    let largest: Account | undefined;
    for (const account of this.#holders.keys()) {
      if (largest === undefined || account.bytes > largest.bytes) largest = account;
    }
    return largest;
  }

  #evict(account: Account): void {
    const evict = this.#holders.get(account);
    this.#evictions++;
    evict?.();
    account.close();
  }
}
