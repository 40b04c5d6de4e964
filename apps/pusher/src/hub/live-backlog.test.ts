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
  const first = backlog.addReader(1);
  backlog.push("a", 1);
  const second = backlog.addReader(2);
  backlog.push("b", 1);

  expect([...backlog.readers]).toEqual([first, second]);
  expect(backlog.take(first)).toEqual(["a", "b"]);
  expect(backlog.take(first)).toEqual([]);
  expect(backlog.take(second)).toEqual(["b"]);
  expect(budget.usedBytes).toBe(2);
  backlog.removeReader(first);
  expect(backlog.isNeeded).toBe(true);
  backlog.removeReader(second);
  expect(backlog.isNeeded).toBe(false);
  expect(budget.usedBytes).toBe(0);
  expect(backlog.take(backlog.addReader(3))).toEqual([]);
});

test("entries that every reader has taken are dropped, also while others wait all the time", () => {
  const { backlog, budget } = backlogOf<number>(1_000_000);
  let reader = backlog.addReader(1);
  const taken: number[] = [];
  for (let entry = 0; entry < 10_000; entry++) {
    backlog.push(entry, 10);
    if (entry % 100 !== 99) continue;
    taken.push(...(backlog.take(reader) ?? []));
    const next = backlog.addReader(entry);
    backlog.removeReader(reader);
    reader = next;
    expect(budget.usedBytes).toBeLessThanOrEqual(10_000);
  }

  expect(taken).toEqual(Array.from({ length: 10_000 }, (_, entry) => entry));
  const slow = backlog.addReader(0);
  for (let entry = 0; entry < 5_000; entry++) {
    backlog.push(entry, 10);
    backlog.take(reader);
  }
  expect(backlog.take(slow)).toHaveLength(5_000);
});

test("a reader learns that its entries were evicted, and a later reader does not", () => {
  const { backlog } = backlogOf<number>(30);
  const early = backlog.addReader(1);
  for (let entry = 0; entry < 4; entry++) backlog.push(entry, 10);
  const late = backlog.addReader(2);
  backlog.push(4, 10);

  expect(backlog.take(early)).toBeUndefined();
  expect(backlog.take(late)).toEqual([4]);
});
