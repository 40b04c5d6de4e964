import fc from "fast-check";
import { expect, test } from "vitest";
import { DRAIN_STEP_MS, drainBatchSize } from "./drain.ts";

test("a drain closes all connections within its time, in even batches, and all at once without time", () => {
  const milliseconds = fc.integer({ min: -1_000, max: 60_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), milliseconds, (connections, drainMs) => {
      const batches: number[] = [];
      for (let remaining = connections, left = drainMs; remaining > 0; left -= DRAIN_STEP_MS) {
        const batch = drainBatchSize(remaining, left);
        batches.push(batch);
        remaining -= batch;
      }

      expect(batches.length * DRAIN_STEP_MS).toBeLessThanOrEqual(Math.max(drainMs, DRAIN_STEP_MS));
      const evenShare = connections / Math.max(1, Math.floor(drainMs / DRAIN_STEP_MS));
      expect(Math.max(...batches)).toBeLessThanOrEqual(Math.ceil(evenShare) + 1);
    }),
  );
});
