import { expect, test } from "vitest";
import { closeAdvice, closeCodes } from "./close-codes.ts";

test("the advice of every code of ours follows from its range", () => {
  for (const { code, advice } of Object.values(closeCodes)) expect(closeAdvice(code), String(code)).toBe(advice);
});

test("a reason fits into a close frame", () => {
  for (const { reason } of Object.values(closeCodes)) expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
});

test("clients reconnect after a lost connection, not after a protocol error", () => {
  expect(closeAdvice(1006)).toBe("reconnect");
  expect(closeAdvice(1001)).toBe("reconnect");
  expect(closeAdvice(4503)).toBe("reconnect");
  expect(closeAdvice(1002)).toBe("stop");
});
