import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.ts";

test.each([
  ["ab", ["abc", "ab"], { name: "ab", edits: 0 }],
  ["b", ["c", "ab"], { name: "ab", edits: 0.5 }],
  ["", ["abc", "ab"], { name: "ab", edits: 1 }],
  ["abc", ["ab"], { name: "ab", edits: 1 }],
  ["axc", ["ayc"], { name: "ayc", edits: 1 }],
  ["ab", ["ax", "ay"], { name: "ax", edits: 1 }],
  ["ab", [], undefined],
])("the name nearest to %j of %j is %j, and a missing character costs half", (name, candidates, nearest) => {
  expect(nearestName(name, candidates)).toEqual(nearest);
});
