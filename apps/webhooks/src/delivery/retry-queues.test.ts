import { expect, test } from "vitest";
import { type Item, RetryQueues } from "./retry-queues.ts";

const RETRY_FOR_MS = 300_000;

const item = (sequence: number, key: string, acceptedAt = 0): Item => ({ sequence, key, entry: "{}", acceptedAt });
const sequencesOf = (batch: { readonly items: readonly Item[] } | undefined) =>
  batch?.items.map(({ sequence }) => sequence);

test("a batch joins events of several topics, and a topic in flight waits", () => {
  const queues = new RetryQueues();
  for (const each of [item(1, "a"), item(2, "b"), item(3, "a"), item(4, "c")]) queues.add(each);

  const first = queues.takeFresh(3);
  queues.add(item(5, "a"));
  expect(sequencesOf(first)).toEqual([1, 2, 3]);
  expect(sequencesOf(queues.takeFresh(10))).toEqual([4]);
  expect(queues.takeFresh(10)).toBeUndefined();

  if (first) queues.delivered(first);
  expect(sequencesOf(queues.takeFresh(10))).toEqual([5]);
});

test("backoff: a refused batch is retried topic by topic, later each time, and holds up no other topic", () => {
  const queues = new RetryQueues();
  queues.add(item(1, "bad"));
  queues.add(item(2, "good"));
  const both = queues.takeFresh(10);
  if (both) expect(queues.refused(both, 0)).toEqual([]);

  queues.add(item(3, "other"));
  expect(sequencesOf(queues.takeFresh(10))).toEqual([3]);
  expect(queues.takeRefused(10, 999)).toBeUndefined();
  const bad = queues.takeRefused(10, 1_000);
  const good = queues.takeRefused(10, 1_000);
  expect([sequencesOf(bad), sequencesOf(good)]).toEqual([[1], [2]]);
  if (bad) queues.refused(bad, 1_000);
  if (good) queues.delivered(good);
  expect(queues.takeRefused(10, 2_999)).toBeUndefined();
  const last = queues.takeRefused(10, 3_000);
  expect([sequencesOf(last), queues.sequences]).toEqual([[1], [1, 3]]);

  // A success ends the backoff of the events behind it.
  queues.add(item(4, "bad", 7));
  if (last) queues.delivered(last);
  expect([queues.size, queues.oldestAt]).toEqual([2, 0]);
  expect(sequencesOf(queues.takeFresh(10))).toEqual([4]);
});

test("a batch ends when it is large, with at least one event", () => {
  const queues = new RetryQueues();
  for (const [at, key] of ["a", "a", "a", "b"].entries()) {
    queues.add({ ...item(at + 1, key), entry: "x".repeat(200_000) });
  }

  expect(sequencesOf(queues.takeFresh(10))).toEqual([1, 2]);
  expect(sequencesOf(queues.takeFresh(10))).toEqual([4]);
  queues.add({ ...item(5, "c"), entry: "x".repeat(1_000_000) });
  expect(sequencesOf(queues.takeFresh(10))).toEqual([5]);
});

test("an event that was refused for five minutes is given up, and the next one of its topic is tried", () => {
  const queues = new RetryQueues();
  queues.add(item(1, "a", 0));
  queues.add(item(2, "a", 200_000));
  const first = queues.takeFresh(10);
  expect(first && queues.refused(first, RETRY_FOR_MS - 1)).toEqual([]);

  const again = queues.takeRefused(10, RETRY_FOR_MS + 30_000);
  expect(again && queues.refused(again, RETRY_FOR_MS + 30_000).map(({ sequence }) => sequence)).toEqual([1]);
  expect(queues.sequences).toEqual([2]);
  expect(queues.bytes).toBe(2);
  expect(sequencesOf(queues.takeRefused(10, RETRY_FOR_MS + 60_000))).toEqual([2]);
});
