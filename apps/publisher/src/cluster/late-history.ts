import type { AppendOutcome, History, HistoryFailure } from "@fanwire/bus";

/** The methods of the history that the publisher uses. */
export type PublisherHistory = Pick<History, "append" | "read" | "missing" | "count" | "state" | "stop">;

const UNAVAILABLE: HistoryFailure<"unavailable"> = {
  ok: false,
  reason: "unavailable",
  detail: "NATS has not been reached yet",
};

/** The history from before the first connection on: until {@link arrive} everything is `unavailable`. */
export class LateHistory implements PublisherHistory {
  #history: History | undefined;

  arrive(history: History): void {
    this.#history = history;
  }

  async append(...args: Parameters<History["append"]>): Promise<AppendOutcome> {
    return this.#history?.append(...args) ?? UNAVAILABLE;
  }

  async read(...args: Parameters<History["read"]>) {
    return this.#history?.read(...args) ?? UNAVAILABLE;
  }

  async missing(...args: Parameters<History["missing"]>) {
    return this.#history?.missing(...args) ?? UNAVAILABLE;
  }

  async count(...args: Parameters<History["count"]>) {
    return this.#history?.count(...args) ?? UNAVAILABLE;
  }

  async state(): ReturnType<History["state"]> {
    return this.#history?.state() ?? UNAVAILABLE;
  }

  stop(): void {
    this.#history?.stop();
  }
}
