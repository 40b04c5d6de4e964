import { expect, test } from "vitest";
import { judgeGrowth } from "./growth.ts";

/** Returns one sample a second. */
const run = (seconds: number, value: (second: number) => number) =>
  Array.from({ length: seconds }, (_, second) => ({ seconds: second, value: value(second) }));

/** Heap in use, with garbage that is collected at once. */
const sawtooth = (second: number) => 50 + (second % 23);

test.each<[string, (second: number) => number]>([
  ["a level", () => 100],
  ["a sawtooth", sawtooth],
  ["what rises at the start and then stays", (second) => 100 - 60 * Math.exp(-second / 40) + (sawtooth(second) % 5)],
  ["garbage that is collected once in half the run", (second) => 50 + ((second + 60) % 320) / 10],
  ["what falls", (second) => 200 - second / 10],
  ["a few outliers at the end", (second) => (second > 590 ? 900 : 100)],
])("%s is no growth", (_, value) => {
  expect(judgeGrowth(run(600, value), 2)?.hasGrown).toBe(false);
});

test.each<[string, (second: number) => number]>([
  ["a steady rise", (second) => 100 + second / 10],
  ["a rise under a sawtooth", (second) => sawtooth(second) + second / 15],
  ["steps", (second) => 100 + 10 * Math.floor(second / 60)],
])("%s is growth", (_, value) => {
  expect(judgeGrowth(run(600, value), 2)).toMatchObject({ hasGrown: true });
});

test("too few samples are inconclusive", () => {
  expect(
    judgeGrowth(
      run(30, (second) => second),
      0,
    ),
  ).toBeUndefined();
});
