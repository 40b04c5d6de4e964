import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { JoinedFrames } from "./joined-frames.ts";

function recorded() {
  const written: [tree: string, frame: string][] = [];
  const trees = {
    publish: (tree: string, frame: string | Uint8Array) => void written.push([tree, frame.toString()]),
    count: () => 1,
  };
  const joined = new JoinedFrames(trees, "\n");
  return { joined, written };
}

test("neighbours for the same tree share a frame, written when the turn ends", async () => {
  const { joined, written } = recorded();

  for (const message of ["1", "2", "3"]) joined.publish("a", message);

  expect(written).toEqual([]);
  await endOfTurn();
  expect(written).toEqual([["a", "1\n2\n3"]]);
});

test("what is for several trees leaves in the order in which it came", async () => {
  const { joined, written } = recorded();

  for (const tree of ["a", "b", "b", "a"]) joined.publish(tree, tree);

  await endOfTurn();
  expect(written).toEqual([
    ["a", "a"],
    ["b", "b\nb"],
    ["a", "a"],
  ]);
});

test("flushing writes what is pending, once", async () => {
  const { joined, written } = recorded();
  joined.publish("a", "1");

  joined.flush();
  joined.publish("a", "2");

  expect(written).toEqual([["a", "1"]]);
  await endOfTurn();
  expect(written).toEqual([
    ["a", "1"],
    ["a", "2"],
  ]);
});

test("a frame does not grow without end", async () => {
  const { joined, written } = recorded();
  const message = "x".repeat(40_000);

  for (let count = 0; count < 5; count++) joined.publish("a", message);

  await endOfTurn();
  expect(written.map(([, frame]) => frame.split("\n").length)).toEqual([2, 2, 1]);
});
