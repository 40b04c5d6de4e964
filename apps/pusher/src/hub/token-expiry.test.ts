import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TokenExpiry } from "./token-expiry.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const CONNECTIONS = 100_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a connection is reported once when its token has expired, and never after it was cleared", () => {
  const expired: number[] = [];
  const expiry = new TokenExpiry((connectionIds) => expired.push(...connectionIds));
  const expiresAt = Date.now() + 2_000;
  for (const connectionId of [1, 2]) expiry.set(connectionId, expiresAt);
  expiry.clear(1, expiresAt);

  vi.advanceTimersByTime(10_000);

  expect(expired).toEqual([2]);
  expiry.stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("nothing is kept for connections that closed or expired, each in another second", () => {
  let expired = 0;
  const expiry = new TokenExpiry(({ length }) => {
    expired += length;
  });
  const startedAt = Date.now();
  const heapBytes = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = heapBytes();

  for (let at = 0; at < CONNECTIONS; at++) expiry.set(at, startedAt + at * 1_000);
  const openBytes = heapBytes() - before;
  for (let at = 100; at < CONNECTIONS; at++) expiry.clear(at, startedAt + at * 1_000);
  vi.advanceTimersByTime(100_000);

  expect(expired).toBe(100);
  expect(heapBytes() - before).toBeLessThan(openBytes / 10);
  expiry.stop();
});
