import type { Log } from "@fanwire/service";
import { type ErrorCode, errorEntry, errors } from "./errors.ts";

/** Minimum time between log lines with the same code and route. */
const LOG_EVERY_MS = 10_000;

type Refusal = {
  readonly code: ErrorCode;
  /** The route's pattern, never a path. */
  readonly route: string;
  readonly remoteAddress: string | undefined;
  /** Path of the first wrong field. */
  readonly field?: string | undefined;
};

/**
 * Logs why requests are refused: at most one line in ten seconds for each code and route, with the number of requests.
 * A line has no key, no URL and no content.
 */
export class RefusalLog {
  readonly #log: Pick<Log, "info">;
  readonly #now: () => number;
  /** One entry for each code and route. */
  readonly #refused = new Map<string, { loggedAt: number; requests: number }>();

  constructor(log: Pick<Log, "info">, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  add({ code, route, remoteAddress, field }: Refusal): void {
    const { status } = errorEntry(code);
    // Asking for a connection that does not exist is a valid request. Errors of the server have separate lines.
    if (code === "connection_not_found" || status >= 500) return;
    const key = `${code} ${route}`;
    const refused = this.#refused.get(key) ?? { loggedAt: Number.NEGATIVE_INFINITY, requests: 0 };
    this.#refused.set(key, refused);
    refused.requests++;
    const now = this.#now();
    if (now - refused.loggedAt < LOG_EVERY_MS) return;
    const { requests } = refused;
    const reason = errors[code].message;
    this.#log.info(
      { status, code, route, requests, remoteAddress, ...(field && { field }), reason },
      "requests refused",
    );
    refused.loggedAt = now;
    refused.requests = 0;
  }
}
