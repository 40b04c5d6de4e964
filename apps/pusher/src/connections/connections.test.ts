import { expect, test } from "vitest";
import { Connections } from "./connections.ts";

test("ids count from 1 and are never reused", () => {
  const connections = new Connections<string>();
  const first = connections.nextId();
  connections.open(first, "a");
  connections.close(first);

  expect(first).toBe(1);
  expect(connections.nextId()).toBe(2);
  expect(connections.get(1)).toBeUndefined();
  expect(connections.size).toBe(0);
});

test("the oldest connections are first", () => {
  const connections = new Connections<string>();
  for (const name of ["a", "b", "c"]) connections.open(connections.nextId(), name);
  connections.close(1);

  expect(connections.oldest(1)).toEqual(["b"]);
  expect(connections.oldest(9)).toEqual(["b", "c"]);
});
