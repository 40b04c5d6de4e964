import { expect, test } from "vitest";
import { countInbound } from "./inbound-limit.ts";

test("inbound messages are counted for each second", () => {
  const counted = { inboundSecond: 0, inboundCount: 0 };

  expect([1, 2, 3].map(() => countInbound(counted, 5, 2))).toEqual([true, true, false]);
  expect(countInbound(counted, 6, 2)).toBe(true);
});
