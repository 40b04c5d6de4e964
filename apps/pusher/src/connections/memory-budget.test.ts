import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type Account, MemoryBudget } from "./memory-budget.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

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

test.each<[string, (account: Account) => void]>([
  ["has returned all its bytes", (account) => account.give(10)],
  ["is closed", (account) => account.close()],
  ["was evicted", (account) => account.take(91)],
])("the budget does not keep a holder that %s", async (_, end) => {
  const budget = new MemoryBudget(100);
  const holders = Array.from({ length: 10 }, () => {
    const holder = { buffer: "anything", dropped: 0 };
    const account = budget.open(() => holder.dropped++);
    account.take(10);
    end(account);
    return new WeakRef(holder);
  });

  await expect
    .poll(() => {
      collectGarbage();
      return holders.filter((holder) => holder.deref() !== undefined).length;
    })
    .toBe(0);
  expect(budget.usedBytes).toBe(0);
});
