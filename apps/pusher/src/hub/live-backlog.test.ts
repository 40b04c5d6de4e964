import { expect, test } from "vitest";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Backlog } from "./live-backlog.ts";

function backlogOf<Entry>(maxBytes: number) {
  const budget = new MemoryBudget(maxBytes);
  return { backlog: new Backlog<Entry>((evict) => budget.open(evict)), budget };
}

test("each connection that waits gets what came since it began, and nothing is kept for nobody", () => {
  const { backlog, budget } = backlogOf<string>(100);
  backlog.push("for nobody", 1);
  const first = backlog.enter();
  backlog.push("a", 1);
  const second = backlog.enter();
  backlog.push("b", 1);

  expect(backlog.since(first)).toEqual(["a", "b"]);
  expect(backlog.since(second)).toEqual(["b"]);
  expect(budget.usedBytes).toBe(2);
  backlog.leave();
  expect(backlog.isNeeded).toBe(true);
  backlog.leave();
  expect(backlog.isNeeded).toBe(false);
  expect(budget.usedBytes).toBe(0);
  expect(backlog.since(backlog.enter())).toEqual([]);
});

test("a connection that waited too long learns that something was dropped, one that came later does not", () => {
  const { backlog } = backlogOf<number>(30);
  const early = backlog.enter();
  for (let entry = 0; entry < 4; entry++) backlog.push(entry, 10);
  const late = backlog.enter();
  backlog.push(4, 10);

  expect(backlog.since(early)).toBeUndefined();
  expect(backlog.since(late)).toEqual([4]);
});
