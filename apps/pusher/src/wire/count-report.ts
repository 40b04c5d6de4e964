import { isWorkerId } from "@fanwire/protocol";

/** Message of a worker to the others about its counts. */
export type CountReport = {
  readonly worker: string;
  /** Counts the reports of the worker from 1. Undefined from a worker of an earlier release. */
  readonly number: number | undefined;
  /** Current counts of keys that have changed, or that another worker has asked for. */
  readonly counts: readonly (readonly [key: string, count: number])[];
  /** Keys whose counts the worker wants to know. */
  readonly asks: readonly string[];
  /** True in the last report of a worker. */
  readonly isLast: boolean;
};

export function encodeCountReport(report: CountReport): string {
  return JSON.stringify(report);
}

/** Returns undefined for anything that no worker sends. */
export function parseCountReport(text: string): CountReport | undefined {
  const value = parse(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { worker, number, counts, asks, isLast } = value as Record<string, unknown>;
  if (typeof worker !== "string" || !isWorkerId(worker) || !Array.isArray(counts) || !Array.isArray(asks)) {
    return undefined;
  }
  return {
    worker,
    number: Number.isSafeInteger(number) ? (number as number) : undefined,
    counts: counts.filter(isCount),
    asks: asks.filter((key) => typeof key === "string"),
    isLast: isLast === true,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isCount(entry: unknown): entry is readonly [string, number] {
  if (!Array.isArray(entry) || entry.length !== 2) return false;
  const [key, count] = entry;
  return typeof key === "string" && Number.isSafeInteger(count) && count >= 0;
}
