import { expect, test } from "vitest";
import { formatDuration, parseDuration } from "./duration.ts";

test.each([
  ["30s", 30],
  ["15m", 900],
  ["2h", 7_200],
  ["7d", 604_800],
])("%s are %i seconds", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test.each(["", "15", "0s", "1.5h", "-1m", "1w", "1h30m"])("%j is refused with an example", (text) => {
  expect(() => parseDuration(text)).toThrow("Write 30s, 15m, 2h or 7d.");
});

test.each([
  [0, "0s"],
  [59.9, "59s"],
  [3_600, "1h"],
  [3_660, "1h 1m"],
  [90_061, "1d 1h"],
  [-5, "0s"],
])("%d seconds are shown as %s", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
