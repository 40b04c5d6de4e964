import { expect, test } from "vitest";
import { acceptsGzip, matchesTag } from "./http-headers.ts";

test.each([
  ["gzip", true],
  ["br, GZIP;q=0.5", true],
  ["deflate, *", true],
  ["*;q=0.1", true],
  ["gzip;level=1", true],
  ["gzip;q=0, *", false],
  ["gzip; q=0.000", false],
  ["gzip;q=nonsense", false],
  ["x-gzip-like, br", false],
  ["identity", false],
  ["", false],
])("Accept-Encoding %j accepts gzip: %s", (header, expected) => {
  expect(acceptsGzip(header)).toBe(expected);
});

test.each([
  ['"a"', true],
  ['W/"a"', true],
  ['"b", "a"', true],
  ["*", true],
  ['"b"', false],
  ["a", false],
  ['"W/a"', false],
  ["", false],
])("If-None-Match %j has the tag: %s", (header, expected) => {
  expect(matchesTag(header, '"a"')).toBe(expected);
});
