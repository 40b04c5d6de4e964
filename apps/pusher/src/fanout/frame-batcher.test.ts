import { setImmediate as endOfTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { FrameBatcher } from "./frame-batcher.ts";

const JOINING = { separator: "\n", maxBytes: 32_768 };
const A = 1;
const B = 2;

function recorded() {
  const written: [groupId: number, frame: string][] = [];
  const writer = {
    write: (groupId: number, frames: readonly Uint8Array[]) =>
      written.push(...frames.map((frame): [number, string] => [groupId, Buffer.from(frame).toString()])),
  };
  const batcher = new FrameBatcher(writer, JOINING);
  return { batcher, written };
}

test("a short read is written in a microtask, a long one when the tick ends", async () => {
  const { batcher, written } = recorded();

  batcher.push(A, "1");
  expect(written).toEqual([]);
  await Promise.resolve();
  expect(written).toEqual([[A, "1"]]);

  batcher.push(B, "x".repeat(16_384));
  await Promise.resolve();
  batcher.push(B, "y");
  expect(written).toHaveLength(1);
  await endOfTick();
  expect(written.slice(1)).toEqual([[B, `${"x".repeat(16_384)}\ny`]]);
});

test("neighbours for the same group share a frame, and all messages are written in the order of their publications", async () => {
  const { batcher, written } = recorded();

  for (const groupId of [A, B, B, A]) batcher.push(groupId, String(groupId));

  await endOfTick();
  expect(written).toEqual([
    [A, "1"],
    [B, "2\n2"],
    [A, "1"],
  ]);
});

test("flushing writes pending messages once", async () => {
  const { batcher, written } = recorded();
  batcher.push(A, "1");

  batcher.flush();
  batcher.push(A, "2");

  expect(written).toEqual([[A, "1"]]);
  await endOfTick();
  expect(written).toEqual([
    [A, "1"],
    [A, "2"],
  ]);
});

test("at most a mebibyte is batched", () => {
  const { batcher, written } = recorded();
  const message = "x".repeat(10_000);

  for (let count = 0; count < 200; count++) batcher.push(A, message);

  const bytes = written.reduce((sum, [, frame]) => sum + frame.length, 0);
  expect(written.length).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(1_100_000);
});
