import fc from "fast-check";
import { expect, test } from "vitest";
import { countValues } from "./json-values.ts";

/** As {@link countValues}, of what the parser made of it. */
function countParsed(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  const members = Object.values(value).map(countParsed);
  return members.reduce((sum, count) => sum + count, members.length === 0 ? 2 : 1);
}

test("of any JSON it counts what the parser would make of it", () => {
  const spaces = fc.constantFrom(undefined, 1, "\t");

  fc.assert(
    fc.property(
      fc.jsonValue({ stringUnit: fc.constantFrom("a", '"', "\\", ",", "[", "{", "ж") }),
      spaces,
      (value, space) => {
        expect(countValues(Buffer.from(JSON.stringify(value, undefined, space)))).toBe(countParsed(value));
      },
    ),
    { numRuns: 10_000 },
  );
});
