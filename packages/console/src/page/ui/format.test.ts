import { expect, test } from "vitest";
import { bytes, count, dateAndTime, duration, milliseconds, prettyJson, rate, timeOfDay } from "./format.ts";

test("a figure that no answer contains is unknown, never 0", () => {
  for (const format of [count, rate, bytes, milliseconds, duration]) {
    expect(format(undefined)).toBe("unknown");
    expect(format(null)).toBe("unknown");
    expect(format(Number.NaN)).toBe("unknown");
    expect(format(0)).toMatch(/^0/);
  }
  expect(dateAndTime("no date")).toBe("unknown");
  expect(timeOfDay(new Date("no date"))).toBe("unknown");
});

test("figures have readable units", () => {
  expect([count(50_000), rate(0.44), rate(15_000.4)]).toEqual(["50,000", "0.4", "15,000"]);
  expect([bytes(1_023), bytes(1_024), bytes(1_572_864), bytes(200 * 1_048_576)]).toEqual([
    "1,023 B",
    "1 KiB",
    "1.5 MiB",
    "200 MiB",
  ]);
  expect([milliseconds(0.25), milliseconds(51.4)]).toEqual(["0.3 ms", "51 ms"]);
  expect([duration(0.4), duration(59), duration(3_600), duration(273_900)]).toEqual(["0 s", "59 s", "1 h", "3 d 4 h"]);
});

test("only JSON text is indented", () => {
  expect(prettyJson('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(prettyJson("{hello")).toBe("{hello");
});
