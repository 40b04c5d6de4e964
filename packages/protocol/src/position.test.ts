import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPosition, parsePosition } from "./position.ts";

test("a position round-trips", () => {
  const plain = { epoch: fc.stringMatching(/^[a-z0-9]{1,32}$/), sequence: fc.nat({ max: 2 ** 50 }) };
  const position = fc.oneof(fc.record(plain), fc.record({ ...plain, copy: fc.stringMatching(/^[0-9]{10}$/) }));
  fc.assert(
    fc.property(position, (wanted) => {
      expect(parsePosition(formatPosition(wanted))).toEqual(wanted);
    }),
    { numRuns: 10_000 },
  );
});

test("the position of a copy lies between those of two publications, also as a number", () => {
  const position = formatPosition({ epoch: "a", sequence: 6, copy: "0123456789" });

  expect(position).toBe("a-6.0123456789");
  expect(Number(position.split("-")[1])).toBeCloseTo(6.0123456789);
});

test("malformed positions are refused", () => {
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
    "a-1.0123456789a",
  ]) {
    expect(parsePosition(text), text).toBeUndefined();
  }
});

test("any text parses to a position only if it is the canonical form", () => {
  const positionLike = fc.string({ unit: fc.constantFrom(..."az09-. +eE\n\0ж"), maxLength: 40 });

  fc.assert(
    fc.property(fc.oneof(positionLike, fc.string({ unit: "binary" })), (text) => {
      const position = parsePosition(text);
      if (position !== undefined) expect(formatPosition(position)).toBe(text);
    }),
    { numRuns: 10_000 },
  );
});
