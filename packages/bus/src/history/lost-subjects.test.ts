import { expect, test } from "vitest";
import { lostSubjectsOf } from "./lost-subjects.ts";

const news = (count: number, isDropped = false) => ({ count, isDropped });
const known = {
  news: new Map([
    ["full", news(3)],
    ["few", news(1)],
    ["many", news(4)],
    ["dropped", news(1, true)],
  ]),
  suspects: ["full", "many"],
  stored: new Map([
    ["full", 2],
    ["few", 1],
    ["many", 1],
  ]),
  limit: 2,
  hasDropped: true,
  dropsMore: false,
};

test("a subject at the limit, or with a dropped publication, has perhaps lost one", () => {
  expect(lostSubjectsOf(known)).toEqual(new Set(["full", "many", "dropped"]));
  expect(lostSubjectsOf({ ...known, hasDropped: false })).toEqual(new Set(["full"]));
});

test("a subject that was at the limit counts although the history has dropped more of it since", () => {
  const stored = new Map([["full", 1]]);

  expect(lostSubjectsOf({ ...known, stored })).not.toContain("full");
  expect(lostSubjectsOf({ ...known, stored, dropsMore: true })).toContain("full");
});
