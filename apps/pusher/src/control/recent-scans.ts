import type { JobQueue } from "../pacing/job-queue.ts";

/** A scan is used for this multiple of the time that it took. So a client that polls costs half a percent of a core. */
const REUSED_FOR = 200;
const MAX_AGE_MS = 10_000;
/** Maximum number of different scans that are kept. */
const MAX_SCANS = 16;

type Scan<Result> = { readonly result: Promise<Result>; freshUntil: number };

/**
 * Carries out scans of all connections, and keeps their results for a time that depends on their cost: a scan of few
 * connections takes no time and is repeated at once.
 */
export class RecentScans<Result> {
  readonly #jobs: JobQueue;
  readonly #scans = new Map<string, Scan<Result>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(jobs: JobQueue) {
    this.#jobs = jobs;
  }

  /** Returns the result of a scan, which may be up to ten seconds old. `key` identifies what the scan looks for. */
  get(key: string, scan: () => Generator<unknown, Result>): Promise<Result> {
    const recent = this.#scans.get(key);
    if (recent !== undefined && performance.now() < recent.freshUntil) return recent.result;
    const done = this.#jobs.run(scan());
    const started: Scan<Result> = { result: done.then(({ result }) => result), freshUntil: Number.POSITIVE_INFINITY };
    this.#scans.delete(key);
    this.#scans.set(key, started);
    const [oldest] = this.#scans.keys();
    if (this.#scans.size > MAX_SCANS && oldest !== undefined) this.#scans.delete(oldest);
    done.then(
      ({ busyMs }) => {
        started.freshUntil = performance.now() + Math.min(MAX_AGE_MS, busyMs * REUSED_FOR);
      },
      () => {
        started.freshUntil = 0;
      },
    );
    this.#dropLater();
    return started.result;
  }

  /** Frees the memory of results that are too old to be used. */
  #dropLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const [key, { freshUntil }] of this.#scans) if (freshUntil <= now) this.#scans.delete(key);
      if (this.#scans.size > 0) this.#dropLater();
    }, MAX_AGE_MS);
    this.#timer.unref();
  }
}
