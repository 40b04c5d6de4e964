import { setImmediate as endOfTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { FrameBatcher, fanwireJoining } from "./frame-batcher.ts";

function recorded() {
  const written: [group: string, frame: string][] = [];
  const writer = {
    write: (group: string, frames: readonly Uint8Array[]) =>
      written.push(...frames.map((frame): [string, string] => [group, Buffer.from(frame).toString()])),
  };
  const joined = new FrameBatcher(writer, fanwireJoining);
  return { joined, written };
}

test("neighbours for the same group share a frame", async () => {
  const { joined, written } = recorded();

  for (const message of ["1", "2", "3"]) joined.publish("a", message);

  expect(written).toEqual([]);
  await endOfTurn();
  expect(written).toEqual([["a", "1\n2\n3"]]);
});

test("little is written when what brought it is over, much when the turn ends", async () => {
  const { joined, written } = recorded();

  joined.publish("a", "1");
  expect(written).toEqual([]);
  await Promise.resolve();
  expect(written).toEqual([["a", "1"]]);

  joined.publish("b", "x".repeat(16_384));
  await Promise.resolve();
  joined.publish("b", "y");
  expect(written).toHaveLength(1);
  await endOfTurn();
  expect(written.slice(1)).toEqual([["b", `${"x".repeat(16_384)}\ny`]]);
});

test("what is for several groups leaves in the order in which it came", async () => {
  const { joined, written } = recorded();

  for (const group of ["a", "b", "b", "a"]) joined.publish(group, group);

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

test("a frame does not grow beyond 32 KiB", async () => {
  const { joined, written } = recorded();
  const message = "x".repeat(8_000);

  for (let count = 0; count < 5; count++) joined.publish("a", message);
  expect(written).toEqual([]);

  await endOfTurn();
  expect(written.map(([, frame]) => frame.split("\n").length)).toEqual([4, 1]);
});

test("no more than a mebibyte is gathered", () => {
  const { joined, written } = recorded();
  const message = "x".repeat(10_000);

  for (let count = 0; count < 200; count++) joined.publish("a", message);

  const bytes = written.reduce((sum, [, frame]) => sum + frame.length, 0);
  expect(written.length).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(1_100_000);
});
