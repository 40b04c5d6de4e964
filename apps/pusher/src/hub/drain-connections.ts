import { setTimeout as delay } from "node:timers/promises";
import type { Connection } from "../connections/connection.ts";
import type { Connections } from "../connections/connections.ts";
import { DRAIN_STEP_MS, drainBatchSize } from "../connections/drain.ts";

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
