import { setImmediate as nextTick } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { collectEventLoopLag } from "./event-loop-metrics.ts";

test("event-loop lag excludes the sample interval, and is reset by each scrape", async () => {
  const registry = new Registry();
  collectEventLoopLag(registry);
  const lag = async (figure: string) => {
    const metrics = await registry.getMetricsAsJSON();
    const metric = metrics.find(({ name }) => name === `nodejs_eventloop_lag_${figure}_seconds`);
    return metric?.values[0]?.value;
  };
  const lagAfterBlocking = async () => {
    const blockedUntil = performance.now() + 500;
    while (performance.now() < blockedUntil);
    await nextTick();
    return lag("max");
  };

  // Timers due within the first 100 ms were at least this late. The first sample has no predecessor.
  await expect.poll(lagAfterBlocking, { timeout: 10_000 }).toBeGreaterThanOrEqual(0.39);
  await expect.poll(() => lag("max"), { timeout: 10_000 }).toBeLessThan(0.39);
  const [least, longest] = [await lag("min"), await lag("max")];
  expect(least).toBeGreaterThanOrEqual(0);
  expect(longest).toBeGreaterThanOrEqual(least ?? Number.NaN);
});
