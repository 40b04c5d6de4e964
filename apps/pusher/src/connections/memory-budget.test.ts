import { expect, test } from "vitest";
import { MemoryBudget } from "./memory-budget.ts";

test("the holder with the most lets go when there is too much", () => {
  const budget = new MemoryBudget(100);
  const evicted: string[] = [];
  const [small, large] = ["small", "large"].map((name) => budget.open(() => evicted.push(name)));
  small?.take(30);
  large?.take(60);

  small?.take(20);

  expect(evicted).toEqual(["large"]);
  expect([budget.usedBytes, small?.bytes, large?.bytes, budget.evictions]).toEqual([50, 50, 0, 1]);
});

test("what is given back is free again, and no account gives more than it holds", () => {
  const budget = new MemoryBudget(100);
  const account = budget.open(() => {});
  account.take(80);

  account.give(50);
  account.give(50);

  expect([account.bytes, budget.usedBytes, budget.freeBytes]).toEqual([0, 0, 100]);
});

test("a holder that needs more than there is lets go itself", () => {
  const budget = new MemoryBudget(100);
  const account = budget.open(() => {});

  account.take(101);

  expect([account.bytes, budget.usedBytes, budget.evictions]).toEqual([0, 0, 1]);
});
