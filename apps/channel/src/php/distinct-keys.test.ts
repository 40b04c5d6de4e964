import fc from "fast-check";
import { expect, test } from "vitest";
import { DistinctKeys } from "./distinct-keys.ts";

test("a key that occurs twice is found, for any order of integers and strings", () => {
  const key = fc.oneof(
    fc.nat(6).map(String),
    fc.integer({ min: -3, max: 12 }).map(String),
    fc.constantFrom("", "a", "b", "-0", "01", "1.0", "9999999999"),
  );
  const keys = fc.oneof(
    fc.array(key, { maxLength: 12 }),
    fc
      .tuple(fc.nat(8), fc.array(key, { maxLength: 4 }))
      .map(([count, more]) => [...Array.from({ length: count }, (_, at) => String(at)), ...more]),
  );
  fc.assert(
    fc.property(keys, (all) => {
      const distinct = new DistinctKeys();
      const known = new Set<string>();
      for (const each of all) {
        const bytes = Buffer.from(each);
        const isInteger = String(Number(each)) === each;
        const isNew = (isInteger && distinct.addNext(bytes, 0, bytes.length)) || distinct.add(each);
        expect(isNew).toBe(!known.has(each));
        known.add(each);
      }
    }),
  );
});

test.each([
  ["0", true],
  ["00", true],
  ["1", false],
  ["-0", false],
  ["000000000", true],
  ["0000000000", false],
  ["", false],
])("the integer %j is counted as the first key: %s", (text, isNext) => {
  expect(new DistinctKeys().addNext(Buffer.from(text), 0, text.length)).toBe(isNext);
});
