import { expect, test } from "vitest";
import { isAfter, isLater } from "./position.ts";

test("positions of one history are ordered by sequence, then by copy", () => {
  const inOrder = ["e-6", "e-6.0000000001", "e-6.5000000000", "e-7", "e-9.0000000001", "e-10"];

  for (const [at, position] of inOrder.entries()) {
    for (const [otherAt, other] of inOrder.entries()) expect(isAfter(position, other)).toBe(at > otherAt);
  }
});

test("a position of another epoch lies after any", () => {
  expect(isAfter("new-1", "old-9")).toBe(true);
  expect(isLater("new-1", "old-9")).toBe(true);
});

test("copies of one publication are not later than each other", () => {
  expect(isLater("e-7", "e-6.5000000000")).toBe(false);
  expect(isLater("e-7.5000000000", "e-7")).toBe(true);
});
