import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeHeaderName, encodeHeaderName } from "./headers.ts";
import { isHeaderName, isName } from "./names.ts";

test("every name survives as the value of a header", () => {
  const name = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom(" a", "a%20", "%", "a\r\nb", "ж "));
  fc.assert(
    fc.property(name.filter(isName), (text) => {
      const value = encodeHeaderName(text);

      expect(value).not.toMatch(/[\r\n]|^\s|\s$/);
      expect(decodeHeaderName(value)).toBe(text);
      if (isHeaderName(text) && !text.includes("%")) expect(value).toBe(text);
    }),
  );
});

test("a header of another publisher that is not percent-encoded is read as it is", () => {
  expect(decodeHeaderName("50%")).toBe("50%");
  expect(decodeHeaderName("ann")).toBe("ann");
});
