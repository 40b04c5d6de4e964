import fc from "fast-check";
import { expect, test } from "vitest";
import { isAllowedOrigin } from "./origins.ts";

test("a literal origin matches itself in any case", () => {
  expect(isAllowedOrigin("https://app.example", ["https://App.example"])).toBe(true);
  expect(isAllowedOrigin("https://app.example:8443", ["https://app.example"])).toBe(false);
  expect(isAllowedOrigin("http://app.example", ["https://app.example"])).toBe(false);
  expect(isAllowedOrigin("https://app.example//a.undefined", ["https://app.example"])).toBe(false);
});

test("a wildcard matches one or more labels before the domain, but not the domain", () => {
  const allowed = ["https://*.example.com"];

  for (const origin of ["https://a.example.com", "https://a.b.example.com"]) {
    expect(isAllowedOrigin(origin, allowed), origin).toBe(true);
  }
  for (const origin of [
    "https://example.com",
    "https://.example.com",
    "https://evilexample.com",
    "http://a.example.com",
    "https://a.example.com.evil.com",
    "null",
  ]) {
    expect(isAllowedOrigin(origin, allowed), origin).toBe(false);
  }
});

test("a star allows any page, and a request without an origin may connect", () => {
  expect(isAllowedOrigin("null", ["*"])).toBe(true);
  expect(isAllowedOrigin("", [])).toBe(true);
  expect(isAllowedOrigin("https://a.example", [])).toBe(false);
});

test("an origin with any other spelling is refused", () => {
  const pieces = fc.constantFrom(
    "https://",
    "http://",
    "app.example",
    ".app.example",
    "evil.example",
    "@",
    "/",
    "#",
    ":",
    " ",
  );
  const origin = fc.array(fc.oneof(pieces, fc.string({ unit: "binary", maxLength: 2 })), {
    minLength: 1,
    maxLength: 6,
  });

  fc.assert(
    fc.property(origin, (written) => {
      const text = written.join("");
      fc.pre(text !== "");
      const isOurs = /^https:\/\/([a-z0-9-]+\.)*app\.example$/i.test(text);
      if (!isOurs) expect(isAllowedOrigin(text, ["https://app.example", "https://*.app.example"]), text).toBe(false);
    }),
    { numRuns: 10_000 },
  );
});
