import { expect, test } from "vitest";
import { Joiner } from "./joiner.ts";

function joined(messages: readonly string[], maxBytes: number): string[] {
  const joiner = new Joiner({ separator: "\n", maxBytes });
  const full = messages.map((message) => joiner.push(message)).filter((frame) => frame !== undefined);
  return [...full, joiner.take()];
}

test("a frame takes what it has room for, and not a byte more", () => {
  expect(joined(["12", "34", "5", "678"], 5)).toEqual(["12\n34", "5\n678"]);
  expect(joined(["12", "34"], 4)).toEqual(["12", "34"]);
});

test("bytes are counted, not characters", () => {
  expect(joined(["жж", "ж"], 7)).toEqual(["жж\nж"]);
  expect(joined(["жж", "ж"], 6)).toEqual(["жж", "ж"]);
});

test("a message that is larger is a frame of its own", () => {
  expect(joined(["1", "x".repeat(10), "2", "3"], 5)).toEqual(["1", "x".repeat(10), "2\n3"]);
});

test("what was taken is gone", () => {
  const joiner = new Joiner({ separator: "\n", maxBytes: 5 });
  joiner.push("1");

  expect([joiner.take(), joiner.isEmpty, joiner.take()]).toEqual(["1", true, ""]);
});
