import { expect, test } from "vitest";
import { toWriteBatches, writeCorked } from "./corked-write.ts";
import { noteWrites } from "./write-recorder.testing.ts";

test("frames are written together if they fit into the shared buffer", () => {
  const sizesOf = (count: number, length: number) =>
    toWriteBatches(Array.from({ length: count }, () => Buffer.alloc(length))).map((frames) => frames.length);

  // The buffer holds fewer than 16,384 bytes. A header takes two or four.
  expect(sizesOf(50, 1_020)).toEqual([15, 15, 15, 5]);
  expect(sizesOf(50, 1_019)).toEqual([16, 16, 16, 2]);
  expect(sizesOf(300, 125)).toEqual([129, 129, 42]);
});

test("a larger frame is written alone, in its order", () => {
  const contents = ["1", "2", "x".repeat(20_000), "3"].map((text) => Buffer.from(text));

  const batches = toWriteBatches(contents);

  expect(batches.map((frames) => frames.map(({ content }) => content.length))).toEqual([[1, 1], [20_000], [1]]);
  expect(toWriteBatches([])).toEqual([]);
});

test("content that is not UTF-8 is a binary frame", () => {
  const receiver = noteWrites();
  const [batch = []] = toWriteBatches([Buffer.from("text"), Buffer.from([0xff])]);

  expect(writeCorked(receiver, batch)).toBe(1);
  expect(receiver.writes).toEqual([["text", "binary"]]);
});

test("a write returns 0 if some of it is buffered", () => {
  const receiver = { ...noteWrites(), getBufferedAmount: () => 1 };
  const [batch = []] = toWriteBatches([Buffer.from("1"), Buffer.from("2")]);

  expect(writeCorked(receiver, batch)).toBe(0);
});

test("a connection over its limit receives nothing further", () => {
  const receiver = noteWrites(1);
  const [batch = []] = toWriteBatches(["a", "b", "c"].map((letter) => Buffer.from(letter)));

  expect(writeCorked(receiver, batch)).toBe(2);
  expect(receiver.writes.flat()).toEqual(["a"]);
});
