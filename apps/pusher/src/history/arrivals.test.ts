import { afterEach, expect, test, vi } from "vitest";
import { busMessage } from "../bus-message.testing.ts";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Arrivals } from "./arrivals.ts";

const entry = (sequence: number, bytes = 1, subject = "history") => ({ sequence, subject, bytes });

afterEach(() => void vi.useRealTimers());

test("content is taken once, by the entry with its sequence, subject and size", () => {
  const arrivals = new Arrivals(new MemoryBudget(10_000));
  for (const sequence of [7, 5, 6, 8]) arrivals.add(sequence, "history", busMessage(String(sequence)));
  arrivals.add(5, "history", busMessage("5"));

  expect([arrivals.size, arrivals.has(5), arrivals.has(4)]).toEqual([4, true, false]);
  expect(Buffer.from(arrivals.take(entry(5))?.data ?? "").toString()).toBe("5");
  expect(arrivals.take(entry(5))).toBeUndefined();
  expect(arrivals.take(entry(6, 2))).toBeUndefined();
  expect(arrivals.take(entry(7, 1, "other"))).toBeUndefined();
  expect([arrivals.size, arrivals.has(8)]).toEqual([1, true]);
});

test("content is dropped if other content claims the same sequence, because one of them is forged", () => {
  const arrivals = new Arrivals(new MemoryBudget(10_000));
  arrivals.add(5, "history", busMessage("5"));
  arrivals.add(5, "history", busMessage("6"));
  arrivals.add(7, "history", busMessage("7"));
  arrivals.add(7, "other", busMessage("7"));

  expect([arrivals.take(entry(5)), arrivals.take(entry(7)), arrivals.size]).toEqual([undefined, undefined, 0]);
  arrivals.add(5, "history", busMessage("5"));
  expect(Buffer.from(arrivals.take(entry(5))?.data ?? "").toString()).toBe("5");
});

test.each([
  ["content", busMessage("x".repeat(1_000))],
  ["headers", busMessage("x", {}, 1_000)],
])("the budget has the bytes of the %s, until it is taken, dropped or cleared", (_, message) => {
  const budget = new MemoryBudget(10_000);
  const arrivals = new Arrivals(budget);
  const used = () => budget.usedBytes;

  arrivals.add(1, "history", message);
  const one = used();
  for (const sequence of [2, 3, 3]) arrivals.add(sequence, "history", message);

  expect(one).toBeGreaterThan(1_000);
  expect(used()).toBe(3 * one);
  arrivals.take(entry(1, message.data.length));
  arrivals.drop(2);
  expect(used()).toBe(one);
  arrivals.clear();
  expect([used(), arrivals.size]).toEqual([0, 0]);
});

test("content without an entry expires after a minute, and evicted content is dropped at once", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const budget = new MemoryBudget(10_000);
  const arrivals = new Arrivals(budget);
  arrivals.add(1, "history", busMessage("x"));
  vi.advanceTimersByTime(40_000);
  arrivals.add(2, "history", busMessage("x"));
  expect(arrivals.expire()).toBe(0);

  vi.advanceTimersByTime(30_000);

  expect([arrivals.expire(), arrivals.has(1), arrivals.has(2)]).toEqual([1, false, true]);
  arrivals.add(3, "history", busMessage("x".repeat(20_000)));
  expect([arrivals.size, budget.usedBytes, budget.evictions]).toEqual([0, 0, 1]);
});
