import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { CoalescedRequest } from "./coalesced-request.ts";

test("simultaneous callers share a request; callers during that request share the next one", async () => {
  const waiting: ((answer: number) => void)[] = [];
  const shared = new CoalescedRequest<number>(() => new Promise((resolve) => waiting.push(resolve)));

  const first = Promise.all([shared.get(), shared.get()]);
  await nextTick();
  const second = Promise.all([shared.get(), shared.get()]);
  await nextTick();
  expect(waiting.length).toBe(1);
  waiting[0]?.(1);
  expect(await first).toEqual([1, 1]);
  await nextTick();
  waiting[1]?.(2);

  expect(await second).toEqual([2, 2]);
  expect(waiting.length).toBe(2);
});

test("a failed request fails for the callers that shared it, and not for the next ones", async () => {
  let asked = 0;
  const shared = new CoalescedRequest(async () => {
    asked++;
    if (asked === 1) throw new Error("away");
    return asked;
  });

  await expect(Promise.all([shared.get(), shared.get()])).rejects.toThrow("away");
  expect(await shared.get()).toBe(2);
});
