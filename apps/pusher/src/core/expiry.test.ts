import { expect, test } from "vitest";
import { Expiry } from "./expiry.ts";

test("connections expire in their second, and a refreshed one later", () => {
  const expiry = new Expiry();
  expiry.set(1, 105);
  expiry.set(2, 105);
  expiry.clear(2, 105);
  expiry.set(2, 110);

  expect(expiry.take(104)).toEqual([]);
  expect(expiry.take(105)).toEqual([1]);
  expect(expiry.take(200)).toEqual([2]);
  expect(expiry.take(300)).toEqual([]);
});

test("one that has expired already goes with the next check", () => {
  const expiry = new Expiry();
  expiry.set(1, 50);

  expect(expiry.take(101)).toEqual([1]);
});
