import { expect, test } from "vitest";
import { Backlog } from "./backlog.ts";

test("each who waits gets what came since it began, and nothing is kept for nobody", () => {
  const backlog = new Backlog<string>(100);
  backlog.push("unheard");
  const first = backlog.enter();
  backlog.push("a");
  const second = backlog.enter();
  backlog.push("b");

  expect(backlog.since(first)).toEqual(["a", "b"]);
  expect(backlog.since(second)).toEqual(["b"]);
  backlog.leave();
  expect(backlog.isNeeded).toBe(true);
  backlog.leave();
  expect(backlog.isNeeded).toBe(false);
  expect(backlog.since(backlog.enter())).toEqual([]);
});

test("who waited too long learns that something was dropped, who came later does not", () => {
  const backlog = new Backlog<number>(3);
  const early = backlog.enter();
  for (let entry = 0; entry < 4; entry++) backlog.push(entry);
  const late = backlog.enter();
  backlog.push(4);

  expect(backlog.since(early)).toBeUndefined();
  expect(backlog.since(late)).toEqual([4]);
});
