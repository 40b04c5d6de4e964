import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPosition, parsePosition } from "./position.ts";

test("a position round-trips", () => {
  const plain = { epoch: fc.stringMatching(/^[a-z0-9]{1,32}$/), sequence: fc.nat({ max: 2 ** 50 }) };
  const position = fc.oneof(fc.record(plain), fc.record({ ...plain, copy: fc.stringMatching(/^[0-9a-f]{10}$/) }));
  fc.assert(
    fc.property(position, (wanted) => {
      expect(parsePosition(formatPosition(wanted))).toEqual(wanted);
    }),
    { numRuns: 10_000 },
  );
});

test("a copy is written with the sequence of its publication, and has all before that", () => {
  expect(formatPosition({ epoch: "a", sequence: 6, copy: "00ff00ff00" })).toBe("a-7.00ff00ff00");
});

test("malformed positions are none", () => {
  for (const text of [
    "",
    "-",
    "a",
    "a-",
    "-1",
    "a-01",
    "a--1",
    "A-1",
    "a-1.5",
    "a-99999999999999999",
    "a-b-1",
    "a-0.0123456789",
  ]) {
    expect(parsePosition(text), text).toBeUndefined();
  }
});

test("whatever a client says, it is a position only as we write it", () => {
  const positionLike = fc.string({ unit: fc.constantFrom(..."az09-. +eE\n\0ж"), maxLength: 40 });

  fc.assert(
    fc.property(fc.oneof(positionLike, fc.string({ unit: "binary" })), (text) => {
      const position = parsePosition(text);
      if (position !== undefined) expect(formatPosition(position)).toBe(text);
    }),
    { numRuns: 10_000 },
  );
});
