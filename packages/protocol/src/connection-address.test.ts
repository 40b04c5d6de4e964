import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatConnectionAddress,
  isWorkerId,
  isWorkermanWorkerId,
  parseConnectionAddress,
  workerIdFrom,
} from "./connection-address.ts";

test("any random numbers give a worker id of 8 letters and digits that begins with a letter", () => {
  const almostOne = 1 - Number.EPSILON;
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: almostOne, noNaN: true }), { minLength: 8, maxLength: 8 }),
      (numbers) => {
        const random = [...numbers];
        expect(isWorkerId(workerIdFrom(() => random.pop() ?? 0))).toBe(true);
      },
    ),
  );
});

test("an address round-trips", () => {
  const address = fc.record({
    workerId: fc.stringMatching(/^([a-z][a-z0-9]{7}|0|[1-9][0-9]{0,15})$/),
    connectionId: fc.maxSafeNat().map((n) => Math.max(n, 1)),
  });
  fc.assert(
    fc.property(address, (wanted) => {
      expect(parseConnectionAddress(formatConnectionAddress(wanted))).toEqual(wanted);
    }),
  );
});

test("Workerman worker ids differ from ours", () => {
  expect(parseConnectionAddress("0.2")).toEqual({ workerId: "0", connectionId: 2 });
  expect([isWorkerId("0"), isWorkermanWorkerId("0"), isWorkermanWorkerId("abcd1234")]).toEqual([false, true, false]);
});

test("malformed addresses are refused", () => {
  const malformed = [
    "",
    ".",
    "abcd1234",
    "abcd1234.",
    ".7",
    "abcd1234.0",
    "abcd1234.-1",
    "abcd1234.1.2",
    "abcd1234.1e3",
    "ABCD1234.1",
    "abcd1234.9999999999999999",
    "abcd1234. 1",
    "01.1",
    "-1.1",
    "+1.1",
    "1e3.1",
    "99999999999999999.1",
    "abcd1234.*",
    "abcd1234.>",
  ];
  for (const text of malformed) expect(parseConnectionAddress(text), text).toBeUndefined();
});

test("any text parses to an address only if it is the canonical form", () => {
  const addressLike = fc.string({ unit: fc.constantFrom(..."az019.*> -+e\n"), maxLength: 14 });

  fc.assert(
    fc.property(fc.oneof(addressLike, fc.string({ unit: "binary" })), (text) => {
      const address = parseConnectionAddress(text);
      if (address !== undefined) expect(formatConnectionAddress(address)).toBe(text);
    }),
    { numRuns: 10_000 },
  );
});
