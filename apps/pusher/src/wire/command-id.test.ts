import fc from "fast-check";
import { expect, test } from "vitest";
import { writtenId } from "./command-id.ts";

test.each([
  ['{"id":9007199254740993}', "9007199254740993"],
  ['{ "a" : [ {"id":1} ] , "id" :\t-0 , "b":{"id":2} }', "-0"],
  ['{"id":1,"x":"\\"id\\":3","id":1.50e+1}', "1.50e+1"],
  ['{"\\u0069\\u0064":7,"idle":8,"x":"id"}', "7"],
  ['{"x":":","y":"{","z":"\\\\","id":5}', "5"],
  ['{"id":"text"}', undefined],
  ['{"id":1,"id":null}', undefined],
  ["{}", undefined],
])("%s", (text, id) => {
  expect(writtenId(text)).toBe(id);
});

test("in any object the number is the one that JSON.parse returns", () => {
  const key = fc.constantFrom("id", "a", '"id"', "\\", "i", "id:");
  const value = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.string(),
    fc.jsonValue(),
  );
  const object = fc.dictionary(key, fc.oneof(value, fc.dictionary(key, value)), { noNullPrototype: true });
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 1), (whole, indent) => {
      const text = JSON.stringify(whole, undefined, indent);
      const { id } = JSON.parse(text) as { id?: unknown };

      const written = writtenId(text);
      expect(written === undefined ? undefined : Number(written)).toEqual(typeof id === "number" ? id : undefined);
    }),
    { numRuns: 5_000 },
  );
});
