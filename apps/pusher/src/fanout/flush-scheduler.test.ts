import { setImmediate as endOfTick } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { FlushScheduler } from "./flush-scheduler.ts";

afterEach(() => void vi.useRealTimers());

/** A scheduler, and how often it has flushed. */
function countFlushes(delayMs?: number) {
  const counted = { flushes: 0 };
  const scheduler = new FlushScheduler(() => {
    counted.flushes++;
  }, delayMs);
  return { scheduler, counted };
}

test("without a delay it flushes once, when the tick ends", async () => {
  const { scheduler, counted } = countFlushes();

  scheduler.schedule();
  scheduler.schedule();
  await Promise.resolve();
  expect(counted.flushes).toBe(0);

  await endOfTick();
  expect(counted.flushes).toBe(1);
  scheduler.schedule();
  await endOfTick();
  expect(counted.flushes).toBe(2);
});

test("with a delay it flushes once, that long after the first call", () => {
  vi.useFakeTimers();
  const { scheduler, counted } = countFlushes(10);

  scheduler.schedule();
  vi.advanceTimersByTime(9);
  scheduler.schedule();
  expect(counted.flushes).toBe(0);

  vi.advanceTimersByTime(1);
  expect(counted.flushes).toBe(1);
  vi.advanceTimersByTime(100);
  expect(counted.flushes).toBe(1);
});

test("a cancelled delay does not shorten the next one", () => {
  vi.useFakeTimers();
  const { scheduler, counted } = countFlushes(10);

  scheduler.schedule();
  vi.advanceTimersByTime(5);
  scheduler.cancelDelay();
  scheduler.schedule();
  vi.advanceTimersByTime(9);
  expect(counted.flushes).toBe(0);

  vi.advanceTimersByTime(1);
  expect(counted.flushes).toBe(1);
});
