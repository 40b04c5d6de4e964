import { expect, test } from "vitest";
import { totalOf } from "./name-page.ts";

test("a total is returned only if it is known", () => {
  const reply = (total?: number) => ({ items: [], hasMore: true, ...(total !== undefined && { total }) });

  expect(totalOf([reply(3), reply(0)], true)).toEqual({ total: 3 });
  expect(totalOf([], true)).toEqual({ total: 0 });
  expect(totalOf([reply(3), reply(2)], true)).toEqual({ totalAtLeast: 3, totalAtMost: 5 });
  expect(totalOf([reply(3), reply(2)], true, 4)).toEqual({ total: 4 });
  expect(totalOf([reply(3), reply(0)], false)).toEqual({ totalAtLeast: 3 });
  expect(totalOf([reply(3), reply(2)], false, 4)).toEqual({ totalAtLeast: 3 });
  // A worker of an earlier version counts nothing.
  expect(totalOf([reply(3), reply()], true)).toEqual({ totalAtLeast: 3 });
  expect(totalOf([reply()], true)).toEqual({});
});
