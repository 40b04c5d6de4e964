import fc from "fast-check";
import { expect, test } from "vitest";
import { ApiKeys, bearerKey, checkFullKey, scopeOf } from "./api-keys.ts";

const bytes = (text: string) => Buffer.from(text);

test("each of the keys has its scope, other keys have none", () => {
  const keys = new ApiKeys(["first-key-0123456", "read:second-key-012345", "third-key-0123456"]);

  expect(keys.isOpen).toBe(false);
  expect(keys.scopeOf(bytes("first-key-0123456"))).toBe("full");
  expect(keys.scopeOf(bytes("second-key-012345"))).toBe("read");
  expect(keys.scopeOf(bytes("third-key-0123456"))).toBe("full");
  for (const wrong of [
    "",
    "first-key-0123457",
    "first-key-012345",
    "first-key-01234567",
    "FIRST-KEY-0123456",
    "read:second-key-012345",
    "read:first-key-0123456",
  ]) {
    expect(keys.scopeOf(bytes(wrong)), wrong).toBe(undefined);
  }
});

test("without keys all requests are accepted", () => {
  const keys = new ApiKeys([]);

  expect(keys.isOpen).toBe(true);
  expect(scopeOf(keys)).toBe("open");
  expect(() => checkFullKey(keys)).not.toThrow();
});

test("one valid key among those of a request is enough, and the highest scope counts", () => {
  const keys = new ApiKeys(["first-key-0123456", "read:second-key-012345"]);

  const [full, read] = [bytes("first-key-0123456"), bytes("second-key-012345")];
  expect(scopeOf(keys, undefined, full)).toBe("full");
  expect(scopeOf(keys, bytes("wrong"), full)).toBe("full");
  expect(scopeOf(keys, read, full)).toBe("full");
  expect(scopeOf(keys, read, undefined)).toBe("read");
  expect(() => checkFullKey(keys, full, read)).not.toThrow();
  expect(() => checkFullKey(keys, read, bytes("wrong"))).toThrow("The API key only reads");
  for (const wrong of [undefined, bytes(""), bytes("read:")]) {
    expect(() => scopeOf(keys, wrong)).toThrow("No valid API key");
    expect(() => checkFullKey(keys, wrong)).toThrow("No valid API key");
  }
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
      if (key === undefined || keys.scopeOf(key) === undefined) return;
      accepted++;
      expect(authorization).toMatch(/^Bearer +first-key-0123456 *$/i);
    }),
    { numRuns: 10_000 },
  );
  expect(accepted).toBeGreaterThan(10);
});
