import fc from "fast-check";
import { expect, test } from "vitest";
import { isHeaderName, isName } from "./names.ts";

test("a name is 1 to 255 bytes of UTF-8", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
      const bytes = Buffer.byteLength(text);
      expect(isName(text)).toBe(bytes >= 1 && bytes <= 255);
    }),
    { numRuns: 10_000 },
  );
  expect([isName("a".repeat(255)), isName("a".repeat(256)), isName("\ud83d")]).toEqual([true, false, false]);
});

test("a header value has no control character and no outer space", () => {
  for (const text of ["order.created", "событие", "a b"]) expect(isHeaderName(text), text).toBe(true);
  for (const text of ["", " a", "a ", "a\r\nExcept: x", "a\u0000", "\u0085"])
    expect(isHeaderName(text), text).toBe(false);
});
