import type { BusMessage } from "@fanwire/bus";
import { afterEach, expect, test, vi } from "vitest";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Arrivals } from "./arrivals.ts";

const message = (content: string): BusMessage => ({
  subject: "live",
  data: Buffer.from(content),
  respond: () => true,
});
const entry = (sequence: number, bytes = 1, subject = "history") => ({ sequence, subject, bytes });

afterEach(() => void vi.useRealTimers());

test("content is taken once, by the entry with its sequence, subject and size", () => {
  const arrivals = new Arrivals(new MemoryBudget(10_000));
  for (const sequence of [7, 5, 6, 8]) arrivals.add(sequence, "history", message(String(sequence)));
  arrivals.add(5, "history", message("another"));

  expect([arrivals.size, arrivals.lowest, arrivals.has(5), arrivals.has(4)]).toEqual([4, 5, true, false]);
  expect(Buffer.from(arrivals.take(entry(5))?.data ?? "").toString()).toBe("5");
  expect(arrivals.take(entry(5))).toBeUndefined();
  expect(arrivals.take(entry(6, 2))).toBeUndefined();
  expect(arrivals.take(entry(7, 1, "other"))).toBeUndefined();
  expect([arrivals.size, arrivals.lowest]).toEqual([1, 8]);
});

test("the budget has the bytes of the content, until it is taken, dropped, expired or cleared", () => {
  const budget = new MemoryBudget(10_000);
  const arrivals = new Arrivals(budget);
  const used = () => budget.usedBytes;

  arrivals.add(1, "history", message("x".repeat(1_000)));
  const one = used();
  for (const sequence of [2, 3, 3]) arrivals.add(sequence, "history", message("x".repeat(1_000)));

  expect(one).toBeGreaterThan(1_000);
  expect(used()).toBe(3 * one);
  arrivals.take(entry(1, 1_000));
  arrivals.drop(2);
  expect(used()).toBe(one);
  arrivals.clear();
  expect([used(), arrivals.size]).toEqual([0, 0]);
});

test("content without an entry expires after a minute, and evicted content is away at once", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const budget = new MemoryBudget(10_000);
  const arrivals = new Arrivals(budget);
  arrivals.add(1, "history", message("x"));
  vi.advanceTimersByTime(40_000);
  arrivals.add(2, "history", message("x"));
  expect(arrivals.expire()).toBe(0);

  vi.advanceTimersByTime(30_000);

  expect([arrivals.expire(), arrivals.has(1), arrivals.has(2)]).toEqual([1, false, true]);
  arrivals.add(3, "history", message("x".repeat(20_000)));
  expect([arrivals.size, budget.usedBytes, budget.evictions]).toEqual([0, 0, 1]);
});
