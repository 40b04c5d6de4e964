import type { Failure, Result } from "./failure.ts";

/** Maximum number of concurrent lists, because each holds a page of every worker in memory. */
const MAX_LISTS = 32;

const BUSY: Failure = { ok: false, reason: "busy" };

/** Limits the lists that this publisher reads at the same time. A list must not read another one through this. */
export class ListLimit {
  readonly #waitMs: number;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  /** @param waitMs maximum time in milliseconds for which a list waits in {@link runInTurn}. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** Reads a list of the whole cluster, or fails with `busy` if too many are being read. */
  async run<List>(list: () => Promise<Result<List>>): Promise<Result<List>> {
    if (this.#running >= MAX_LISTS) return BUSY;
    this.#running++;
    return this.#read(list);
  }

  /** Reads a page of one user or topic when it is its turn. Fails with `busy` if it waits for too long. */
  async runInTurn<List>(list: () => Promise<Result<List>>): Promise<Result<List>> {
    if (this.#running < MAX_LISTS) this.#running++;
    else if (!(await this.#isInTurn())) return BUSY;
    return this.#read(list);
  }

  async #read<List>(list: () => Promise<Result<List>>): Promise<Result<List>> {
    try {
      return await list();
    } finally {
      const [next] = this.#waiting;
      // A list that waits takes over the place of this one.
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Resolves with true when a place is taken over, and with false when that takes too long. */
  #isInTurn(): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isInTurn: boolean) => {
        clearTimeout(timer);
        this.#waiting.delete(begin);
        resolve(isInTurn);
      };
      const begin = () => end(true);
      const timer = setTimeout(() => end(false), this.#waitMs);
      this.#waiting.add(begin);
    });
  }
}
