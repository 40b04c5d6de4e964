import { expect, test } from "vitest";
import { HeldCommands } from "./held-commands.ts";

const takeAll = (held: HeldCommands) => {
  const taken: string[] = [];
  for (let line = held.take(); line !== undefined; line = held.take()) taken.push(line);
  return taken;
};

test("commands are taken in the order of their arrival", () => {
  const held = new HeldCommands(["a", "b"], 100);

  expect(held.take()).toBe("a");
  expect(held.add(["c", "d"], 3)).toBe(true);
  expect(held.add([], 3)).toBe(true);
  expect(held.add(["e"], 1)).toBe(true);

  expect(takeAll(held)).toEqual(["b", "c", "d", "e"]);
  expect(held.take()).toBeUndefined();
});

test("frames are counted whole until their last command is taken", () => {
  const held = new HeldCommands(["first"], 10);

  expect(held.add(["a", "b"], 10)).toBe(true);
  expect(held.add(["c"], 1)).toBe(false);
  expect([held.take(), held.take()]).toEqual(["first", "a"]);
  expect(held.add(["c"], 1)).toBe(false);
  expect(held.take()).toBe("b");
  expect(held.add(["c"], 10)).toBe(true);

  expect(takeAll(held)).toEqual(["c"]);
});
