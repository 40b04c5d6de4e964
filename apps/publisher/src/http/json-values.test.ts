import fc from "fast-check";
import { expect, test } from "vitest";
import { countValues } from "./json-values.ts";

/** Counts as {@link countValues} does, but in the parsed value. */
function countParsed(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  const members = Object.values(value).map(countParsed);
  return members.reduce((sum, count) => sum + count, members.length === 0 ? 2 : 1);
}

test("the count is that of the parsed value, for any JSON", () => {
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

test("the count does not depend on the length of strings, or on the escapes at their ends", () => {
  const text = fc.string({ unit: fc.constantFrom("a", '"', "\\", ",", "["), minLength: 25, maxLength: 70 });

  fc.assert(
    fc.property(fc.array(text), (texts) => {
      expect(countValues(Buffer.from(JSON.stringify(texts)))).toBe(countParsed(texts));
    }),
    { numRuns: 10_000 },
  );
});
