import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { TimeSlices } from "./time-slices.ts";

const CALLERS = 300;

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test("hundreds of callers run in the order of their calls, over many ticks of the event loop", async () => {
  const slices = new TimeSlices();
  let tick = 0;
  let isDone = false;
  const finished: number[] = [];
  const inTick = new Map<number, number>();
  const ticks = (async () => {
    for (; !isDone; tick++) await nextTick();
  })();

  await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      await slices.turn();
      work(1);
      await undefined; // as real callers do, it continues in later microtasks
      finished.push(caller);
      inTick.set(tick, (inTick.get(tick) ?? 0) + 1);
    }),
  );
  isDone = true;
  await ticks;

  expect(finished).toEqual(Array.from({ length: CALLERS }, (_, caller) => caller));
  expect(Math.max(...inTick.values())).toBeLessThan(20);
});

test("a caller that arrives while others wait runs after them", async () => {
  const slices = new TimeSlices();
  const order: string[] = [];
  const first = slices.turn().then(async () => {
    order.push("first");
    await slices.turn();
    order.push("first again");
  });
  const second = slices.turn().then(() => order.push("second"));

  await Promise.all([first, second]);

  expect(order).toEqual(["first", "second", "first again"]);
});

test("work without a wait is allowed until the slice of the tick is used up or others wait", async () => {
  const slices = new TimeSlices();

  expect(slices.mayWorkNow()).toBe(true);
  work(20);
  expect(slices.mayWorkNow()).toBe(false);
  await nextTick();
  expect(slices.mayWorkNow()).toBe(true);

  const waiting = slices.turn();
  expect(slices.mayWorkNow()).toBe(false);
  await waiting;
  await nextTick();
  await nextTick();
  expect(slices.mayWorkNow()).toBe(true);
});

test("queued work does not begin in a tick whose slice is used up", async () => {
  const slices = new TimeSlices();
  let hasBegun = false;
  slices.mayWorkNow();
  work(20);

  const turn = slices.turn().then(() => {
    hasBegun = true;
  });
  await Promise.resolve();
  expect(hasBegun).toBe(false);
  await turn;
});
