/** The share of one holder in a budget. */
export type Account = {
  readonly bytes: number;
  take(bytes: number): void;
  give(bytes: number): void;
  /** Returns all bytes to the budget. */
  close(): void;
};

/**
 * Maximum bytes of all buffers of a worker together: replays, backlogs, and pending content. Above it, the largest
 * holder is evicted.
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

  /** Number of evicted holders. */
  get evictions(): number {
    return this.#evictions;
  }

  get freeBytes(): number {
    return Math.max(0, this.maxBytes - this.#usedBytes);
  }

  /** Opens an account. `evict` must drop everything that the holder buffers. After the call the account is empty. */
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

  /** Evicts the largest holder. Returns false if no other holder has more than this account. */
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
