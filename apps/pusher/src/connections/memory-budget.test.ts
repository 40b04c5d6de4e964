import { expect, test } from "vitest";
import { MemoryBudget } from "./memory-budget.ts";

test("the largest holder is evicted above the maximum", () => {
  const budget = new MemoryBudget(100);
  const evicted: string[] = [];
  const [small, large] = ["small", "large"].map((name) => budget.open(() => evicted.push(name)));
  small?.take(30);
  large?.take(60);

  small?.take(20);

  expect(evicted).toEqual(["large"]);
  expect([budget.usedBytes, small?.bytes, large?.bytes, budget.evictions]).toEqual([50, 50, 0, 1]);
});

test("returned bytes are free again, and no account returns more than it holds", () => {
  const budget = new MemoryBudget(100);
  const account = budget.open(() => {});
  account.take(80);

  account.give(50);
  account.give(50);

  expect([account.bytes, budget.usedBytes, budget.freeBytes]).toEqual([0, 0, 100]);
});

test("a holder that needs more than the maximum is evicted", () => {
  const budget = new MemoryBudget(100);
  const account = budget.open(() => {});

  account.take(101);

  expect([account.bytes, budget.usedBytes, budget.evictions]).toEqual([0, 0, 1]);
});
