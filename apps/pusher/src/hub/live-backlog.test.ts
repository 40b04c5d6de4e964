import { expect, test } from "vitest";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { Backlog } from "./live-backlog.ts";

function backlogOf<Entry>(maxBytes: number) {
  const budget = new MemoryBudget(maxBytes);
  return { backlog: new Backlog<Entry>((evict) => budget.open(evict)), budget };
}

test("each reader receives the entries since it was added, and without readers nothing is buffered", () => {
  const { backlog, budget } = backlogOf<string>(100);
  backlog.push("without readers", 1);
  const first = backlog.addReader();
  backlog.push("a", 1);
  const second = backlog.addReader();
  backlog.push("b", 1);

  expect(backlog.since(first)).toEqual(["a", "b"]);
  expect(backlog.since(second)).toEqual(["b"]);
  expect(budget.usedBytes).toBe(2);
  backlog.removeReader();
  expect(backlog.isNeeded).toBe(true);
  backlog.removeReader();
  expect(backlog.isNeeded).toBe(false);
  expect(budget.usedBytes).toBe(0);
  expect(backlog.since(backlog.addReader())).toEqual([]);
});

test("a reader whose entries were evicted is told so, and a later reader is not", () => {
  const { backlog } = backlogOf<number>(30);
  const early = backlog.addReader();
  for (let entry = 0; entry < 4; entry++) backlog.push(entry, 10);
  const late = backlog.addReader();
  backlog.push(4, 10);

  expect(backlog.since(early)).toBeUndefined();
  expect(backlog.since(late)).toEqual([4]);
});
