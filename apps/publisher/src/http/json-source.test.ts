import fc from "fast-check";
import { expect, test } from "vitest";
import { memberSources } from "./json-source.ts";

test.each([
  ['{"data":1.0}', ["1.0"]],
  [' { "a" : {"data":2}, "data" : [1e400, 12345678901234567890 ] } ', ["[1e400, 12345678901234567890 ]"]],
  ['{"data":1,"data":null}', ["null"]],
  ['{"d\\u0061ta":-0}', ["-0"]],
  ['{"data\\\\":1,"data":"}\\\\\\"]"}', ['"}\\\\\\"]"']],
  ["{}", [undefined]],
  ["[]", []],
  [
    '[{"data":1}, 7, "data", {"x":"data"}, [{"data":2}],{"data":{"data":3}}]',
    ["1", undefined, undefined, undefined, undefined, '{"data":3}'],
  ],
  ["7", [undefined]],
])("the members of %s", (json, sources) => {
  expect(memberSources(json, "data")).toEqual(sources);
});

test("the text of a member has its value, for any JSON", () => {
  const key = fc.oneof(fc.constantFrom("data", 'da"ta', "\\data", ""), fc.string());
  const object = fc.dictionary(key, fc.jsonValue({ depthSize: "small" }));
  const sent = fc.oneof(object, fc.array(fc.oneof({ weight: 4, arbitrary: object }, fc.jsonValue())));
  fc.assert(
    fc.property(sent, fc.constantFrom(0, 1, "\t"), (value, space) => {
      const sources = memberSources(JSON.stringify(value, null, space), "data");

      const items: unknown[] = Array.isArray(value) ? value : [value];
      const parsed: unknown[] = JSON.parse(JSON.stringify(items));
      const members = parsed.map((item) =>
        typeof item === "object" && item !== null && !Array.isArray(item) && Object.hasOwn(item, "data")
          ? (item as { data: unknown }).data
          : undefined,
      );
      expect(sources.map((source) => source && JSON.parse(source))).toEqual(members);
    }),
    { numRuns: 500 },
  );
});

test("a large body is read fast, whatever it contains", () => {
  for (const filler of ["[[[[[]]]]],", '"\\"",', '"\\\\\\\\",', "1,", `"${"x".repeat(1_000)}",`]) {
    const count = Math.floor(2_000_000 / filler.length);
    const json = `{"data":[${filler.repeat(count)}0]}`;

    const before = process.cpuUsage();
    expect(memberSources(json, "data")[0]?.length).toBe(json.length - 9);
    expect(process.cpuUsage(before).user, filler.slice(0, 10)).toBeLessThan(1_000_000);
  }
});
