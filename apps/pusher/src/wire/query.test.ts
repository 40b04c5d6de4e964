import fc from "fast-check";
import { expect, test } from "vitest";
import { parseQuery } from "./query.ts";

const pieces = fc.array(
  fc.oneof(
    fc.constantFrom(
      "=",
      "&",
      "%",
      "%2",
      "%zz",
      "+",
      "topic",
      "%D0%B6",
      "%00",
      "%26",
      "%3D",
      "%EF%BF%BD",
      "%EF%BB%BF",
      "ж",
      "😀",
    ),
    // Without digits and letters that would make escapes of what is before.
    fc.string({ unit: fc.constantFrom("x", "~", " ", "/", "?", "["), maxLength: 3 }),
  ),
  { maxLength: 20 },
);

test("valid UTF-8 is parsed like URLSearchParams does", () => {
  fc.assert(
    fc.property(pieces, (texts) => {
      const query = texts.join("");

      const read = parseQuery(query).map(({ name, value }) => [name, value]);
      // Node 20 garbles what is not escaped and not ASCII beside an escape.
      const escaped = query.replaceAll(/[^\0-\x7f]/gu, encodeURIComponent);
      // A leading question mark is no part of a query, but URLSearchParams drops it.
      expect(read).toEqual([...new URLSearchParams(`?${escaped}`)]);
    }),
    { numRuns: 10_000 },
  );
});

test.each(["%FF", "%E7%E0", "%C0%AF", "%ED%A0%80", "%F4%90%80%80", "a%D0", "%D0a", "\uFFFD", "%FF%EF%BF%BD"])(
  "bytes that are not UTF-8 are no other text: %s",
  (bytes) => {
    expect(parseQuery(`topic=${bytes}&since=1`)).toEqual([
      { name: "topic", value: undefined },
      { name: "since", value: "1" },
    ]);
    expect(parseQuery(`${bytes}=a`)).toEqual([{ name: "", value: "a" }]);
  },
);
