import { expect, test } from "vitest";
import { EventLoopDelay } from "./event-loop-delay.ts";

test("the longest delay is known during it, and stays when a reader resets the histogram", async () => {
  const delay = new EventLoopDelay();
  await expect.poll(() => delay.histogram.count, { timeout: 10_000 }).toBeGreaterThan(0);

  const blockedUntil = performance.now() + 500;
  while (performance.now() < blockedUntil);

  expect(delay.longestMs).toBeGreaterThanOrEqual(390);
  const { count } = delay.histogram;
  await expect.poll(() => delay.histogram.count, { timeout: 10_000 }).toBeGreaterThan(count);
  delay.histogram.reset();
  expect(delay.longestMs).toBeGreaterThanOrEqual(390);
  delay.stop();
});
