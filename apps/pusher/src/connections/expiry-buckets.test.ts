import { expect, test } from "vitest";
import { ExpiryBuckets } from "./expiry-buckets.ts";

test("connections expire in their second, and a refreshed one later", () => {
  const expiry = new ExpiryBuckets();
  expiry.set(1, 104_001);
  expiry.set(2, 105_000);
  expiry.clear(2, 105_000);
  expiry.set(2, 110_000);

  expect(expiry.take(104_999)).toEqual([]);
  expect(expiry.take(105_000)).toEqual([1]);
  expect(expiry.take(200_000)).toEqual([2]);
  expect(expiry.take(300_000)).toEqual([]);
});

test("the next check returns a connection that has expired already", () => {
  const expiry = new ExpiryBuckets();
  expiry.set(1, 50_000);

  expect(expiry.take(101_000)).toEqual([1]);
});

test("a connection without an expiry never expires", () => {
  const expiry = new ExpiryBuckets();
  expiry.set(1, undefined);
  expiry.clear(1, undefined);

  expect(expiry.take(Number.MAX_SAFE_INTEGER)).toEqual([]);
});

test("more connections than a call has arguments may expire in one second", () => {
  const expiry = new ExpiryBuckets();
  for (let connectionId = 1; connectionId <= 200_000; connectionId++) expiry.set(connectionId, 50_000);

  expect(expiry.take(50_000)).toHaveLength(200_000);
});
