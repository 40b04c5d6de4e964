import fc from "fast-check";
import { expect, test } from "vitest";
import { ApiKeys, bearerKey, checkKey } from "./api-keys.ts";

const bytes = (text: string) => Buffer.from(text);

test("each of the keys is accepted, other keys are not", () => {
  const keys = new ApiKeys(["first-key-0123456", "second-key-012345"]);

  expect(keys.isOpen).toBe(false);
  expect(keys.accepts(bytes("first-key-0123456"))).toBe(true);
  expect(keys.accepts(bytes("second-key-012345"))).toBe(true);
  for (const wrong of ["", "first-key-0123457", "first-key-012345", "first-key-01234567", "FIRST-KEY-0123456"]) {
    expect(keys.accepts(bytes(wrong)), wrong).toBe(false);
  }
});

test("without keys all requests are accepted", () => {
  const keys = new ApiKeys([]);

  expect(keys.isOpen).toBe(true);
  expect(() => checkKey(keys)).not.toThrow();
});

test("one valid key among those of a request is enough", () => {
  const keys = new ApiKeys(["first-key-0123456"]);

  expect(() => checkKey(keys, undefined, bytes("first-key-0123456"))).not.toThrow();
  expect(() => checkKey(keys, bytes("wrong"), bytes("first-key-0123456"))).not.toThrow();
  expect(() => checkKey(keys, undefined, undefined)).toThrow("No valid API key");
  expect(() => checkKey(keys, bytes(""))).toThrow("No valid API key");
});

test("no other header than a Bearer with a key is accepted", () => {
  const keys = new ApiKeys(["first-key-0123456"]);
  const piece = fc.constantFrom(
    "Bearer",
    "bearer",
    " ",
    "\t",
    "first-key-0123456",
    "first-key-",
    "0123456",
    ",",
    "Basic",
    "\u00ff",
  );
  const header = fc
    .array(piece, { maxLength: 5 })
    .map((pieces) => (pieces.length % 2 ? "Bearer " : "") + pieces.join(""));

  let accepted = 0;
  fc.assert(
    fc.property(header, (authorization) => {
      const key = bearerKey({ headers: { authorization } });
      if (key === undefined || !keys.accepts(key)) return;
      accepted++;
      expect(authorization).toMatch(/^Bearer +first-key-0123456 *$/i);
    }),
    { numRuns: 10_000 },
  );
  expect(accepted).toBeGreaterThan(10);
});
