import { setTimeout as delay } from "node:timers/promises";

/** Calls `start` `count` times, `atOnce` times simultaneously. Returns the results in order. */
export async function inBatches<Result>(
  count: number,
  atOnce: number,
  start: (at: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  while (results.length < count) {
    const batch = Array.from({ length: Math.min(atOnce, count - results.length) }, (_, at) => results.length + at);
    results.push(...(await Promise.all(batch.map(start))));
    await delay(1); // lets this process read what the servers send
  }
  return results;
}
