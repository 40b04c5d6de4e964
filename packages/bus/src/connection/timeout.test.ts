import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { withTimeout } from "./timeout.ts";

test("withTimeout() returns the result or the error in time, and undefined afterwards", async () => {
  expect(await withTimeout(10_000, Promise.resolve("here"))).toBe("here");
  await expect(withTimeout(10_000, Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(await withTimeout(1, new Promise(() => {}))).toBeUndefined();
});

test("a late error is ignored", async () => {
  const late = delay(20).then(() => Promise.reject(new Error("late")));

  expect(await withTimeout(1, late)).toBeUndefined();
  await delay(40);
});
