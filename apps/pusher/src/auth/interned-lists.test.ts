import { expect, test } from "vitest";
import { SharedLists } from "./interned-lists.ts";

test("equal lists become one object", () => {
  const lists = new SharedLists();
  const first = lists.equalTo(["a", "b"]);

  expect(lists.equalTo(["a", "b"])).toBe(first);
  expect(lists.equalTo(["a,b"])).toEqual(["a,b"]);
  expect(lists.equalTo(["b", "a"])).toEqual(["b", "a"]);
  expect(lists.equalTo([])).toEqual([]);
});

test("long lists are not interned, and the number of lists is bounded", () => {
  const lists = new SharedLists();
  const long = () => Array.from({ length: 100 }, (_, at) => `topic-${at}`);
  const first = lists.equalTo(["a"]);

  expect(lists.equalTo(long())).not.toBe(lists.equalTo(long()));
  for (let at = 0; at < 1_000; at++) lists.equalTo([`topic-${at}`]);
  expect(lists.equalTo(["a"])).not.toBe(first);
});
