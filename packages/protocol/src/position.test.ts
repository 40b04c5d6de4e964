import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPosition, parsePosition } from "./position.ts";

test("a position round-trips", () => {
  const position = fc.record({ epoch: fc.stringMatching(/^[a-z0-9]{1,32}$/), sequence: fc.maxSafeNat() });
  fc.assert(
    fc.property(position, (wanted) => {
      expect(parsePosition(formatPosition(wanted))).toEqual(wanted);
    }),
  );
});

test("malformed positions are none", () => {
  for (const text of ["", "-", "a", "a-", "-1", "a-01", "a--1", "A-1", "a-1.5", "a-99999999999999999", "a-b-1"]) {
    expect(parsePosition(text), text).toBeUndefined();
  }
});
