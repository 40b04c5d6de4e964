import { setTimeout as delay } from "node:timers/promises";

/** Waits until `check` gives something other than undefined or false; fails with `what` when it never does. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, undefined | false | null>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false && value !== null) {
      return value as Exclude<T, undefined | false | null>; // narrowed by the line above, which TypeScript cannot see
    }
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await delay(10);
  }
}
