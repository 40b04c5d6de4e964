import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeToken, encodeByteToken, encodeToken } from "./subject-tokens.ts";

/** Any well-formed string. The binary unit makes every code point, but hardly ever those that matter in a subject. */
const anyName = fc.oneof(
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(..."=.*>4Aщ"), maxLength: 12 }),
);

test("plain characters stay and every other byte of the UTF-8 form is escaped", () => {
  expect(encodeToken("order-7_A")).toBe("order-7_A");
  expect(encodeToken("a.b*>=")).toBe("a=2Eb=2A=3E=3D");
  expect(encodeToken("щ")).toBe("=D1=89");
  expect(encodeToken("")).toBe("=");
});

test("any name round-trips through a token that is no wildcard, holds no separator and is not empty", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const token = encodeToken(name);

      expect(token).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(decodeToken(token)).toBe(name);
    }),
    { numRuns: 10_000 },
  );
});

test("a token that encoding never writes is refused", () => {
  for (const token of ["", "==", "=4", "=4g", "=2e", "=41", "a.b", "*", ">", "=FF", "=D1", "é", "a b"]) {
    expect(decodeToken(token), token).toBeUndefined();
  }
});

test("any decoded token encodes to itself", () => {
  const tokenLike = fc.string({ unit: fc.constantFrom(..."=ABF0129ab.*>"), maxLength: 12 });

  fc.assert(
    fc.property(tokenLike, (token) => {
      const name = decodeToken(token);
      if (name !== undefined) expect(encodeToken(name)).toBe(token);
    }),
    { numRuns: 10_000 },
  );
});

test("a name of bytes has the token of the text with that UTF-8 form", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      expect(encodeByteToken(Buffer.from(name).toString("latin1"))).toBe(encodeToken(name));
    }),
    { numRuns: 10_000 },
  );
});

test("two names of bytes never share a token, UTF-8 or not", () => {
  const anyBytes = fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

  fc.assert(
    fc.property(anyBytes, anyBytes, (one, other) => {
      expect(encodeByteToken(one) === encodeByteToken(other)).toBe(one === other);
      expect(encodeByteToken(one)).toMatch(/^[A-Za-z0-9_=-]+$/);
    }),
    { numRuns: 10_000 },
  );
});
