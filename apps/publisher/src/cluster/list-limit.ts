import type { Result } from "./failure.ts";

/** Maximum number of concurrent lists, because each holds a page of every worker in memory. */
const MAX_LISTS = 32;

/** Limits the lists that this publisher reads at the same time. */
export class ListLimit {
  #running = 0;

  /** Reads a list, or fails with `busy` if too many are being read. A list must not read another one through this. */
  async run<List>(list: () => Promise<Result<List>>): Promise<Result<List>> {
    if (this.#running >= MAX_LISTS) return { ok: false, reason: "busy" };
    this.#running++;
    try {
      return await list();
    } finally {
      this.#running--;
    }
  }
}
