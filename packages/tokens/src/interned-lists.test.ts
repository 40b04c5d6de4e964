import { expect, test } from "vitest";
import { InternedLists } from "./interned-lists.ts";

test("equal lists become one object", () => {
  const lists = new InternedLists();
  const first = lists.intern(["a", "b"]);

  expect(lists.intern(["a", "b"])).toBe(first);
  expect(lists.intern(["a,b"])).toEqual(["a,b"]);
  expect(lists.intern(["b", "a"])).toEqual(["b", "a"]);
  expect(lists.intern([])).toEqual([]);
});

test("long lists are not interned, and the number of lists is bounded", () => {
  const lists = new InternedLists();
  const long = () => Array.from({ length: 100 }, (_, at) => `topic-${at}`);
  const first = lists.intern(["a"]);

  expect(lists.intern(long())).not.toBe(lists.intern(long()));
  for (let at = 0; at < 1_000; at++) lists.intern([`topic-${at}`]);
  expect(lists.intern(["a"])).not.toBe(first);
});
