import { expect, test, vi } from "vitest";
import { type Stored, worldOfTwo } from "./frontier.testing.ts";

test("a frontier whose consumer ended passes what has expired since, and reports it once", async () => {
  const { a, b, frontier, store, readUntil, arrive, expire, endConsumer, missed } = await worldOfTwo();
  for (const each of ["x", "z"]) store(each);
  expire("x");

  endConsumer();

  await expect.poll(() => frontier.position?.sequence).toBe(2);
  arrive(store("y"));
  await readUntil(() => b.got.length === 1);
  expect(missed).toEqual([[a]]);
});

test("a gap that is settled while its consumer ends is reported once", async () => {
  const { a, b, store, readOn, arrive, drop, endConsumer, onQuestion, missed } = await worldOfTwo();
  drop(store("x"));
  arrive(store("y"));
  let questions = 0;
  onQuestion.do = async () => {
    questions++;
    if (questions > 1) return;
    endConsumer();
    // The entry is read again by the next consumer.
    await new Promise((resolve) => setTimeout(resolve, 20));
    readOn(1);
  };

  readOn(1);

  await expect.poll(() => b.got).toEqual(["y2 e1-2"]);
  expect(questions).toBe(2);
  expect(missed).toEqual([[a]]);
});

test("subscriptions that missed a publication are reported once if the consumer ends while they are closed", async () => {
  const { a, b, frontier, store, readOn, arrive, drop, expire, endConsumer, ...opened } = await worldOfTwo();
  const { onMissed, missed, gaps } = opened;
  onMissed.do = async () => {
    endConsumer();
    // The next consumer exists, and has read on.
    await new Promise((resolve) => setTimeout(resolve, 20));
    readOn(5);
  };

  // A gap before an entry.
  drop(store("x"));
  arrive(store("y"));
  readOn(1);
  await expect.poll(() => b.got).toEqual(["y2 e1-2"]);
  expect(missed).toEqual([[a]]);

  // An entry whose content is no longer stored.
  const expired = store("x");
  readOn(1);
  drop(expired);
  arrive(store("y"));
  await expect.poll(() => b.got, { timeout: 5_000 }).toEqual(["y2 e1-2", "y4 e1-4"]);
  expect(missed).toEqual([[a], [a]]);

  // A history in which all has expired.
  store("x");
  expire("x");
  endConsumer();
  await expect.poll(() => frontier.position?.sequence).toBe(5);
  await vi.waitUntil(() => frontier.waiting === 0);
  expect(missed).toEqual([[a], [a], [a]]);
  expect(gaps).toEqual([
    [0, 1],
    [4, 5],
  ]);
});

test("a thousand gaps are reported with two questions, and others receive the publications between them in order", async () => {
  const { a, b, store, readOn, arrive, drop, missed, gaps } = await worldOfTwo();
  for (let gap = 0; gap < 1_000; gap++) {
    drop(store("x"));
    arrive(store("y"));
  }

  readOn(1_000);

  await expect.poll(() => b.got).toHaveLength(1_000);
  expect(b.got).toEqual(Array.from({ length: 1_000 }, (_, at) => `y${2 * at + 2} e1-${2 * at + 2}`));
  // The first is asked before the others are queued.
  expect(gaps).toEqual([
    [0, 1],
    [2, 1_999],
  ]);
  expect(missed).toEqual([[a], [a]]);
});

test("a gap with a publication that the leader still stores is reported just before the worker passes it", async () => {
  const { b, frontier, store, readOn, arrive, drop, onMissed, skipped, gaps } = await worldOfTwo();
  for (let gap = 0; gap < 4; gap++) {
    drop(store("x"));
    arrive(store("y"));
  }
  skipped.push(7);
  const positions: (number | undefined)[] = [];
  onMissed.do = async () => void positions.push(frontier.position?.sequence);

  readOn(4);

  await expect.poll(() => b.got).toEqual(["y2 e1-2", "y4 e1-4", "y6 e1-6", "y8 e1-8"]);
  expect(gaps).toEqual([
    [0, 1],
    [2, 7],
    [6, 7],
  ]);
  expect(positions).toEqual([0, 2, 6]);
});

test("gaps that were reported together are reported again by the next consumer, which may have skipped more", async () => {
  const { b, frontier, store, readOn, readUntil, arrive, drop, gaps, endConsumer } = await worldOfTwo();
  const kept: Stored[] = [];
  for (let gap = 0; gap < 3; gap++) {
    drop(store("x"));
    kept.push(store("y"));
  }
  const [first, second, third] = kept as [Stored, Stored, Stored];
  arrive(first);
  readOn(3);
  await expect.poll(() => frontier.position?.sequence).toBe(3);

  endConsumer();
  await vi.waitUntil(() => frontier.waiting === 0);
  for (const each of [second, third]) arrive(each);
  await readUntil(() => b.got.length === 3);

  expect(gaps).toEqual([
    [0, 1],
    [2, 5],
    [4, 5],
  ]);
});
