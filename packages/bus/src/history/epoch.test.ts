import { expect, test } from "vitest";
import { epochFrom } from "./epoch.ts";

test("an epoch is the nanosecond of creation", () => {
  expect(Number.parseInt(epochFrom("1970-01-01T00:00:00.000000035Z"), 36)).toBe(35);
  expect(epochFrom("1970-01-01T00:00:01Z")).toBe((1_000_000_000).toString(36));
  expect(epochFrom("2026-11-23T18:44:41.9330298Z")).toBe(epochFrom("2026-11-23T18:44:41.933029800Z"));
  expect(epochFrom("2026-11-23T18:44:41.9330298Z")).not.toBe(epochFrom("2026-11-23T18:44:41.9330299Z"));
  expect(epochFrom("2026-11-23T18:44:41.933029801Z")).toMatch(/^[a-z0-9]{12,13}$/);
});
