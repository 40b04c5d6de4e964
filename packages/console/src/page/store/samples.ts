import type { Cluster, Worker } from "../api/types.ts";

/** The charts show this long. */
export const SHOWN_MS = 300_000;
/** A longer pause between samples is a gap in the charts, for example while the page was hidden. */
const GAP_MS = 10_000;

/** Names of the charted figures. */
export type Measure =
  | "connections"
  | "publications"
  | "deliveries"
  | "bytes"
  | "accepted"
  | "residentBytes"
  | "eventLoopDelayMs"
  | "unsentBytes"
  | "lagMs";

/** Figures of all workers at a time. `null`: some worker did not answer or is unknown, or does not report the figure. */
export type Sample = { readonly at: number } & Readonly<Record<Measure, number | null>>;

type Reading = (worker: Worker) => number | undefined;

const SUMS: Readonly<Record<Exclude<Measure, "eventLoopDelayMs" | "lagMs">, Reading>> = {
  connections: (worker) => worker.connections,
  publications: (worker) => worker.rates.publicationsPerSecond,
  deliveries: (worker) => worker.rates.deliveriesPerSecond,
  bytes: (worker) => worker.rates.bytesPerSecond,
  accepted: (worker) => worker.rates.acceptedPerSecond,
  residentBytes: (worker) => worker.memory?.residentBytes,
  unsentBytes: (worker) => worker.unsentBytes,
};

/** Returns the sums and maxima over all workers, which are unknown while a worker is missing or may be. */
export function sampleOf(at: number, cluster: Cluster | undefined): Sample {
  const isComplete = cluster?.complete !== false && (cluster?.missing?.length ?? 0) === 0;
  const workers = isComplete ? cluster?.workers : undefined;
  const sums = Object.entries(SUMS).map(([name, read]) => [name, total(workers, read)]);
  return {
    at,
    // The entries are those of `SUMS`.
    ...(Object.fromEntries(sums) as Record<keyof typeof SUMS, number | null>),
    eventLoopDelayMs: largest(workers, (worker) => worker.eventLoopDelayMs),
    lagMs: largest(workers, lagOf),
  };
}

/** A worker whose frontier is current lags by nothing. Otherwise only the worker knows how much. */
export function lagOf({ history }: Worker): number | undefined {
  return history?.lagMs ?? (history?.isCurrent ? 0 : undefined);
}

export function total(workers: readonly Worker[] | undefined, read: Reading): number | null {
  const values = workers?.map(read) ?? [undefined];
  return values.reduce<number | null>((sum, value) => (sum === null || value === undefined ? null : sum + value), 0);
}

export function largest(workers: readonly Worker[] | undefined, read: Reading): number | null {
  const values = workers?.map(read) ?? [];
  return values.length === 0 || values.includes(undefined) ? null : Math.max(...values.map((value) => value ?? 0));
}

/** The samples of the last minutes. */
export class Samples {
  #kept: readonly Sample[] = [];

  add(sample: Sample): readonly Sample[] {
    const last = this.#kept.at(-1);
    const gap = last !== undefined && sample.at - last.at > GAP_MS ? [sampleOf(last.at + 1, undefined)] : [];
    this.#kept = [...this.#kept, ...gap, sample].filter(({ at }) => at > sample.at - SHOWN_MS);
    return this.#kept;
  }
}
