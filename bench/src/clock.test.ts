import { expect, test } from "vitest";
import { nowMicros } from "./clock.ts";

test("it is the machine's clock, whenever the process was started", () => {
  const differences = Array.from({ length: 100 }, () => Math.abs(nowMicros() - Number(process.hrtime.bigint()) / 1000));

  expect(Math.min(...differences)).toBeLessThan(50);
});
