import { expect, test } from "vitest";
import { toCorkfuls, writeCorkful } from "./corked-write.ts";
import { noteWrites } from "./write-recorder.testing.ts";

test("frames are written together as far as the shared buffer goes", () => {
  const sizesOf = (count: number, length: number) =>
    toCorkfuls(Array.from({ length: count }, () => Buffer.alloc(length))).map((frames) => frames.length);

  // 16,384 bytes are too many, and a header takes two or four.
  expect(sizesOf(50, 1_020)).toEqual([15, 15, 15, 5]);
  expect(sizesOf(50, 1_019)).toEqual([16, 16, 16, 2]);
  expect(sizesOf(300, 125)).toEqual([129, 129, 42]);
});

test("a larger frame is written alone, and those around it in their order", () => {
  const contents = ["1", "2", "x".repeat(20_000), "3"].map((text) => Buffer.from(text));

  const corkfuls = toCorkfuls(contents);

  expect(corkfuls.map((frames) => frames.map(({ content }) => content.length))).toEqual([[1, 1], [20_000], [1]]);
  expect(toCorkfuls([])).toEqual([]);
});

test("what is no UTF-8 is a binary frame", () => {
  const receiver = noteWrites();
  const [corkful = []] = toCorkfuls([Buffer.from("text"), Buffer.from([0xff])]);

  expect(writeCorkful(receiver, corkful)).toBe(1);
  expect(receiver.writes).toEqual([["text", "binary"]]);
});

test("a write says whether some of it waits", () => {
  const receiver = { ...noteWrites(), getBufferedAmount: () => 1 };
  const [corkful = []] = toCorkfuls([Buffer.from("1"), Buffer.from("2")]);

  expect(writeCorkful(receiver, corkful)).toBe(0);
});

test("one that is over its limit is sent no more", () => {
  const receiver = noteWrites(1);
  const [corkful = []] = toCorkfuls(["a", "b", "c"].map((letter) => Buffer.from(letter)));

  expect(writeCorkful(receiver, corkful)).toBe(2);
  expect(receiver.writes.flat()).toEqual(["a"]);
});
