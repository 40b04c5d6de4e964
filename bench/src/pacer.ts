import { setTimeout as delay } from "node:timers/promises";
import { nowMicros } from "./clock.ts";
import { encodeContent } from "./content.ts";

/** Plan of `count` publications numbered from `first`, evenly spaced or all together. */
export type PublishPlan = { first: number; count: number; ratePerSecond: number | "burst" };

/**
 * Publishes at a fixed rate. Publications that are due leave together, so a late timer never lowers the rate. A stamp
 * is the time at which its publication was *due*, so that latency includes the delay of a server's own timer. Resolves
 * with the time of the start, once the last publication is handed over.
 */
export async function publishPaced(plan: PublishPlan, publish: (contents: Buffer[]) => void): Promise<number> {
  const startedAt = nowMicros();
  if (plan.ratePerSecond === "burst") {
    publish(Array.from({ length: plan.count }, (_, index) => encodeContent(plan.first + index, nowMicros())));
    return startedAt;
  }

  const intervalMicros = 1_000_000 / plan.ratePerSecond;
  const dueAt = (index: number) => startedAt + (index + 1) * intervalMicros;
  let sent = 0;
  while (sent < plan.count) {
    await delay(Math.max(0, (dueAt(sent) - nowMicros()) / 1000));
    const contents: Buffer[] = [];
    for (const now = nowMicros(); sent < plan.count && dueAt(sent) <= now; sent++) {
      contents.push(encodeContent(plan.first + sent, dueAt(sent)));
    }
    if (contents.length > 0) publish(contents);
  }
  return startedAt;
}
