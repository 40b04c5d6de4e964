import { SlicedWork } from "./sliced-work.ts";

/** Maximum number of jobs that wait. The callers of others would not get an answer in time. */
const MAX_JOBS = 200;

export type Done<Result> = {
  readonly result: Result;
  /** Milliseconds for which the job has kept the event loop busy. */
  readonly busyMs: number;
};

/** Carries out long jobs, one after the other, so that all of them together take a slice of each event-loop tick. */
export class JobQueue {
  /** Number of jobs that were refused. */
  refused = 0;
  readonly #work = new SlicedWork();
  #jobs = 0;

  /**
   * Carries out a job, which must yield often. It begins in a later tick.
   *
   * @throws if too many jobs wait.
   */
  run<Result>(job: Generator<unknown, Result>): Promise<Done<Result>> {
    if (this.#jobs >= MAX_JOBS) {
      this.refused++;
      return Promise.reject(new TooManyJobsError());
    }
    this.#jobs++;
    const done = new Promise<Done<Result>>((resolve, reject) => this.#work.add(timed(job, resolve, reject)));
    return done.finally(() => this.#jobs--);
  }
}

export class TooManyJobsError extends Error {
  override name = "TooManyJobsError";
}

function* timed<Result>(
  job: Generator<unknown, Result>,
  resolve: (done: Done<Result>) => void,
  reject: (error: unknown) => void,
): Generator<unknown, void> {
  let busyMs = 0;
  try {
    for (;;) {
      const startedAt = performance.now();
      const step = job.next();
      busyMs += performance.now() - startedAt;
      if (step.done) {
        resolve({ result: step.value, busyMs });
        return;
      }
      yield;
    }
  } catch (error) {
    reject(error);
  }
}
