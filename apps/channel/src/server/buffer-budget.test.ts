import { expect, test } from "vitest";
import { BufferBudget } from "./buffer-budget.ts";

function newBudget(maxBytes: number) {
  const events: string[] = [];
  const budget = new BufferBudget({
    maxBytes,
    batchBytes: () => 0,
    onOutboundLow: () => events.push("outbound low"),
    onWaiting: (isHigh) => events.push(isHigh ? "waiting high" : "waiting low"),
  });
  return { budget, events };
}

test("large frames reserve memory in order of request, and one frame always fits", () => {
  const { budget, events } = newBudget(400);
  const reserve = (name: string, bytes: number) => budget.reserveFrame(bytes, () => events.push(name));

  const huge = reserve("huge", 1_000);
  const small = reserve("small", 10);
  const large = reserve("large", 95);
  const last = reserve("last", 5);
  expect([huge, small, large, last].map(({ isGranted }) => isGranted)).toEqual([true, false, false, false]);

  huge.end();
  expect(events).toEqual(["small"]);
  small.end();
  expect(events).toEqual(["small", "large", "last"]);
  large.end();
  last.end();
  expect([budget.usedBytes, budget.waitingFrames]).toEqual([0, 0]);
});

test("a cancelled frame does not block the frames behind it", () => {
  const { budget, events } = newBudget(400);
  const first = budget.reserveFrame(60, () => {});
  const second = budget.reserveFrame(90, () => events.push("second"));
  budget.reserveFrame(40, () => events.push("third"));

  second.end();

  expect(events).toEqual(["third"]);
  first.end();
  expect(budget.usedBytes).toBe(40);
});

test("shared memory counts once, and waiting publishers are called back when it is low", () => {
  const { budget, events } = newBudget(400);
  const memory = { bytes: 200, holders: 0 };
  budget.hold(memory);
  budget.hold(memory);
  expect([budget.usedBytes, budget.isOutboundHigh]).toEqual([200, true]);

  budget.release(memory);
  expect(events).toEqual([]);
  budget.release(memory);
  expect([events, budget.usedBytes, budget.isOutboundHigh]).toEqual([["outbound low"], 0, false]);
});

test("waiting requests pause reading at an eighth of the budget, until half of that is left", () => {
  const { budget, events } = newBudget(800);

  for (const bytes of [99, 1, -49, -1]) budget.addWaiting(bytes);
  expect(events).toEqual(["waiting high"]);
  budget.addWaiting(-1);
  expect(events).toEqual(["waiting high", "waiting low"]);
});

test("a waiting request takes the memory of the frame in which it arrived", () => {
  const { budget, events } = newBudget(400);
  const first = budget.reserveFrame(90, () => {});
  budget.reserveFrame(90, () => events.push("second"));
  budget.addHeld(5);
  budget.addWaiting(20);

  first.end();
  expect(events).toEqual([]);

  budget.addWaiting(-20);
  expect(events).toEqual(["second"]);
});
