import { availableParallelism, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/** Maximum factor by which a busy machine stretches a timeout. */
const MAX_STRETCH = 5;

/**
 * Waits until `check` returns something other than undefined, null or false. Rejects with `what` after `timeoutMs`,
 * which is stretched by the load average for each core, so that a busy machine does not fail a test. `what` may be a
 * function, so that the error shows the state at the end.
 */
export async function until<T>(
  what: string | (() => string),
  check: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, undefined | false | null>> {
  const startedAt = performance.now();
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false && value !== null) {
      return value as Exclude<T, undefined | false | null>; // narrowed by the line above, which TypeScript cannot see
    }
    if (performance.now() - startedAt > timeoutMs * stretch()) {
      const waitedMs = Math.round(performance.now() - startedAt);
      throw new Error(`timed out after ${waitedMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await delay(10);
  }
}

/** Returns the load average for each core, between 1 and {@link MAX_STRETCH}. */
export function stretch(): number {
  const [lastMinute = 0] = loadavg();
  return Math.min(MAX_STRETCH, Math.max(1, lastMinute / availableParallelism()));
}
