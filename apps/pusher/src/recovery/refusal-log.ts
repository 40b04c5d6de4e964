import type { NotRecovered } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";

/** Minimum time between log lines with the same reason. */
const LOG_EVERY_MS = 1_000;

/** Logs why clients could not recover: at most one line per second and reason, with the number of clients. */
export class RefusalLog {
  readonly #log: Log;
  readonly #byReason = new Map<NotRecovered, { loggedAt: number; clients: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  add(reason: NotRecovered): void {
    const refusals = this.#byReason.get(reason) ?? { loggedAt: Number.NEGATIVE_INFINITY, clients: 0 };
    this.#byReason.set(reason, refusals);
    refusals.clients++;
    const now = performance.now();
    if (now - refusals.loggedAt < LOG_EVERY_MS) return;
    this.#log.info({ reason, clients: refusals.clients }, "clients resumed without recovering");
    refusals.loggedAt = now;
    refusals.clients = 0;
  }
}
