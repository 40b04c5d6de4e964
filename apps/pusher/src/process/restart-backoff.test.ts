import { expect, test } from "vitest";
import { RestartBackoff } from "./restart-backoff.ts";

test("backoff: the delay doubles while a worker keeps ending early, and a stable worker resets it", () => {
  const backoff = new RestartBackoff();

  expect([10, 10, 10].map((livedMs) => backoff.delayAfter(livedMs))).toEqual([100, 200, 400]);
  for (let deaths = 0; deaths < 20; deaths++) backoff.delayAfter(10);
  expect(backoff.delayAfter(10)).toBe(30_000);
  expect(backoff.delayAfter(60_000)).toBe(100);
});
