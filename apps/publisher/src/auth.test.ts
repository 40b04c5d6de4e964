import { expect, test } from "vitest";
import { ApiKeys, checkKey } from "./auth.ts";

const bytes = (text: string) => Buffer.from(text);

test("each of the keys is accepted, and nothing else", () => {
  const keys = new ApiKeys(["first-key-0123456", "second-key-012345"]);

  expect(keys.isOpen).toBe(false);
  expect(keys.accepts(bytes("first-key-0123456"))).toBe(true);
  expect(keys.accepts(bytes("second-key-012345"))).toBe(true);
  for (const wrong of ["", "first-key-0123457", "first-key-012345", "first-key-01234567", "FIRST-KEY-0123456"]) {
    expect(keys.accepts(bytes(wrong)), wrong).toBe(false);
  }
});

test("without keys everybody may publish", () => {
  const keys = new ApiKeys([]);

  expect(keys.isOpen).toBe(true);
  expect(() => checkKey(keys)).not.toThrow();
});

test("one right key among those given is enough, none is not", () => {
  const keys = new ApiKeys(["first-key-0123456"]);

  expect(() => checkKey(keys, undefined, bytes("first-key-0123456"))).not.toThrow();
  expect(() => checkKey(keys, bytes("wrong"), bytes("first-key-0123456"))).not.toThrow();
  expect(() => checkKey(keys, undefined, undefined)).toThrow("valid key");
  expect(() => checkKey(keys, bytes(""))).toThrow("valid key");
});
