import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { collectProcessMetrics } from "./event-loop-lag.ts";

test("the lag of the event loop is told without the time between two looks at it, and anew each time", async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  const lag = async (figure: string) => {
    const metrics = await registry.getMetricsAsJSON();
    const metric = metrics.find(({ name }) => name === `nodejs_eventloop_lag_${figure}_seconds`);
    return metric?.values[0]?.value;
  };
  const lagAfterBlocking = async () => {
    const blockedUntil = performance.now() + 500;
    while (performance.now() < blockedUntil);
    await nextTurn();
    return lag("max");
  };

  // What was due within the first tenth of a second was so late at least; the first look of all has none before it.
  await expect.poll(lagAfterBlocking, { timeout: 10_000 }).toBeGreaterThanOrEqual(0.39);
  await expect.poll(() => lag("max"), { timeout: 10_000 }).toBeLessThan(0.39);
  const [least, longest] = [await lag("min"), await lag("max")];
  expect(least).toBeGreaterThanOrEqual(0);
  expect(longest).toBeGreaterThanOrEqual(least ?? Number.NaN);
  expect(await lag("stddev")).toBeUndefined();
});

test("all other metrics of a process are there", async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);

  const text = await registry.metrics();
  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"]) {
    expect(text).toContain(name);
  }
});
