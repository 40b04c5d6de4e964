import { setTimeout as delay } from "node:timers/promises";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";

/** How often a draining worker closes a batch. */
export const DRAIN_STEP_MS = 100;

/**
 * Returns how many of the remaining connections to close in this step. The last one closes when the time is over, and
 * the other workers receive the clients evenly.
 */
export function drainBatchSize(remaining: number, msLeft: number): number {
  const stepsLeft = Math.max(1, Math.floor(msLeft / DRAIN_STEP_MS));
  return Math.ceil(remaining / stepsLeft);
}

/** Ends all connections evenly over `drainMs`, the oldest first. Resolves when none is left. */
export async function drainConnections(
  connections: Connections<Connection>,
  drainMs: number,
  end: (connection: Connection) => void,
): Promise<void> {
  const deadline = performance.now() + drainMs;
  while (connections.size > 0) {
    const batchSize = drainBatchSize(connections.size, deadline - performance.now());
    for (const connection of connections.oldest(batchSize)) end(connection);
    if (connections.size > 0) await delay(DRAIN_STEP_MS);
  }
}
