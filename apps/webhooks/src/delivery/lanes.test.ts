import { expect, test } from "vitest";
import { type Item, Lanes } from "./lanes.ts";

const RETRY_FOR_MS = 300_000;

const item = (sequence: number, key: string, acceptedAt = 0): Item => ({ sequence, key, entry: "{}", acceptedAt });
const sequencesOf = (batch: { readonly items: readonly Item[] } | undefined) =>
  batch?.items.map(({ sequence }) => sequence);

test("a batch joins events of several topics, and a topic in flight waits", () => {
  const lanes = new Lanes();
  for (const each of [item(1, "a"), item(2, "b"), item(3, "a"), item(4, "c")]) lanes.add(each);

  const first = lanes.takeFresh(3);
  lanes.add(item(5, "a"));
  expect(sequencesOf(first)).toEqual([1, 2, 3]);
  expect(sequencesOf(lanes.takeFresh(10))).toEqual([4]);
  expect(lanes.takeFresh(10)).toBeUndefined();

  if (first) lanes.delivered(first);
  expect(sequencesOf(lanes.takeFresh(10))).toEqual([5]);
});

test("a refused batch is retried topic by topic, later each time, and holds up no other topic", () => {
  const lanes = new Lanes();
  lanes.add(item(1, "bad"));
  lanes.add(item(2, "good"));
  const both = lanes.takeFresh(10);
  if (both) expect(lanes.refused(both, 0)).toEqual([]);

  lanes.add(item(3, "other"));
  expect(sequencesOf(lanes.takeFresh(10))).toEqual([3]);
  expect(lanes.takeRefused(10, 999)).toBeUndefined();
  const bad = lanes.takeRefused(10, 1_000);
  const good = lanes.takeRefused(10, 1_000);
  expect([sequencesOf(bad), sequencesOf(good)]).toEqual([[1], [2]]);
  if (bad) lanes.refused(bad, 1_000);
  if (good) lanes.delivered(good);
  expect(lanes.takeRefused(10, 2_999)).toBeUndefined();
  expect(sequencesOf(lanes.takeRefused(10, 3_000))).toEqual([1]);
  expect(lanes.sequences).toEqual([1, 3]);
});

test("a batch ends when it is large, with at least one event", () => {
  const lanes = new Lanes();
  for (const [at, key] of ["a", "a", "a", "b"].entries()) {
    lanes.add({ ...item(at + 1, key), entry: "x".repeat(200_000) });
  }

  expect(sequencesOf(lanes.takeFresh(10))).toEqual([1, 2]);
  expect(sequencesOf(lanes.takeFresh(10))).toEqual([4]);
  lanes.add({ ...item(5, "c"), entry: "x".repeat(1_000_000) });
  expect(sequencesOf(lanes.takeFresh(10))).toEqual([5]);
});

test("an event that was refused for five minutes is given up, and the next one of its topic is tried", () => {
  const lanes = new Lanes();
  lanes.add(item(1, "a", 0));
  lanes.add(item(2, "a", 200_000));
  const first = lanes.takeFresh(10);
  expect(first && lanes.refused(first, RETRY_FOR_MS - 1)).toEqual([]);

  const again = lanes.takeRefused(10, RETRY_FOR_MS + 30_000);
  expect(again && lanes.refused(again, RETRY_FOR_MS + 30_000).map(({ sequence }) => sequence)).toEqual([1]);
  expect(lanes.sequences).toEqual([2]);
  expect(lanes.bytes).toBe(2);
  expect(sequencesOf(lanes.takeRefused(10, RETRY_FOR_MS + 60_000))).toEqual([2]);
});
