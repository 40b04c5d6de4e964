import { setImmediate as endOfTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { SingleFrameBatcher } from "./single-frame-batcher.ts";
import { SlowConsumerBuffer } from "./slow-consumers.ts";
import { noteWrites } from "./write-recorder.testing.ts";

const BURST = 64;
const A = 1;
const B = 2;

function connection(groupId: number) {
  return { ...noteWrites(), groupId };
}

type Recorded = ReturnType<typeof connection>;

function batcherFor(...connected: Recorded[]) {
  const members = (wanted: number) => connected.filter(({ groupId }) => groupId === wanted);
  const published: [groupId: number, frame: string, isBinary: boolean][] = [];
  const groups = {
    publish: (groupId: number, frame: string | Uint8Array, isBinary: boolean) =>
      void published.push([groupId, Buffer.from(frame).toString(), isBinary]),
    members,
    count: (groupId: number) => members(groupId).length,
    walked: () => connected.length,
  };
  const shared = new SlowConsumerBuffer({ groups, maxBytes: 1_000_000 });
  return { batcher: new SingleFrameBatcher(groups, shared), published };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => String(number));
}

test("the publications of one tick are left to the group, in order, when the tick ends", async () => {
  const { batcher, published } = batcherFor(connection(A));

  for (const text of ["1", "2"]) batcher.push(A, Buffer.from(text));
  batcher.push(B, Buffer.from([0xff]));
  batcher.push(A, Buffer.from("3"));

  await endOfTick();
  expect(published).toEqual([
    [A, "1", false],
    [A, "2", false],
    [B, "\ufffd", true],
    [A, "3", false],
  ]);
});

test("a burst is written to each member in one batch, and to no other connection", async () => {
  const subscribers = [connection(A), connection(A)];
  const other = connection(B);
  const { batcher, published } = batcherFor(...subscribers, other);

  for (const text of numbers(BURST)) batcher.push(A, Buffer.from(text));
  expect(subscribers.map(({ writes }) => writes)).toEqual([[], []]);

  await endOfTick();
  expect(subscribers.map(({ writes }) => writes)).toEqual([[numbers(BURST)], [numbers(BURST)]]);
  expect(other.writes).toEqual([]);
  expect(published).toEqual([]);
});

test("while a group may have pending frames, the first frame of a burst is written alone", async () => {
  const subscriber = connection(A);
  const { batcher, published } = batcherFor(subscriber);
  batcher.push(B, Buffer.from("waits"));

  for (const text of numbers(BURST)) batcher.push(A, Buffer.from(text));

  await endOfTick();
  expect(published.map(([, frame]) => frame)).toEqual(["waits"]);
  expect(subscriber.writes).toEqual([["0"], numbers(BURST).slice(1)]);
  for (const text of numbers(BURST)) batcher.push(A, Buffer.from(text));
  await endOfTick();
  expect(subscriber.writes.slice(2)).toEqual([numbers(BURST)]);
});

test("a few large publications are a burst", async () => {
  const subscriber = connection(A);
  const { batcher, published } = batcherFor(subscriber);
  const large = ["x", "y", "z"].map((letter) => letter.repeat(10_000));

  for (const text of large) batcher.push(A, Buffer.from(text));

  await endOfTick();
  expect(subscriber.writes).toEqual(large.map((text) => [text]));
  expect(published).toEqual([]);
});

test("flushing writes pending publications once", async () => {
  const { batcher, published } = batcherFor(connection(A));
  batcher.push(A, Buffer.from("1"));

  batcher.flush();
  expect(published.map(([, frame]) => frame)).toEqual(["1"]);

  batcher.push(A, Buffer.from("2"));
  await endOfTick();
  expect(published.map(([, frame]) => frame)).toEqual(["1", "2"]);
});

test("at most a mebibyte is batched", () => {
  const subscriber = connection(A);
  const { batcher } = batcherFor(subscriber);

  for (let count = 0; count < 3; count++) batcher.push(A, Buffer.alloc(600_000, "x"));

  expect(subscriber.writes.flat().length).toBe(2);
});
