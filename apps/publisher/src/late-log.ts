import type { AppendOutcome, DurableLog, LogFailure } from "@fanwire/bus";

/** What the publisher needs of the log. */
export type PublisherLog = Pick<DurableLog, "append" | "read" | "find" | "count" | "state" | "stop">;

const UNAVAILABLE: LogFailure<"unavailable"> = {
  ok: false,
  reason: "unavailable",
  detail: "NATS has not been reached yet",
};

/** The log from before the first connection on: until {@link arrive} everything is `unavailable`. */
export class LateLog implements PublisherLog {
  #log: DurableLog | undefined;

  arrive(log: DurableLog): void {
    this.#log = log;
  }

  async append(...args: Parameters<DurableLog["append"]>): Promise<AppendOutcome> {
    return this.#log?.append(...args) ?? UNAVAILABLE;
  }

  async read(...args: Parameters<DurableLog["read"]>) {
    return this.#log?.read(...args) ?? UNAVAILABLE;
  }

  async find(...args: Parameters<DurableLog["find"]>) {
    return this.#log?.find(...args) ?? UNAVAILABLE;
  }

  async count(...args: Parameters<DurableLog["count"]>) {
    return this.#log?.count(...args) ?? UNAVAILABLE;
  }

  async state() {
    return this.#log?.state() ?? UNAVAILABLE;
  }

  stop(): void {
    this.#log?.stop();
  }
}
