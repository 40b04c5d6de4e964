import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { finishSteps } from "../data/steps.ts";
import { encodeArray, encodeInt, encodeString, readScalars } from "./values.ts";

/** Returns the entries that the bridge reads, as `type:text`. */
function read(data: string | Buffer): Record<string, string> | undefined {
  const scalars = finishSteps(readScalars(Buffer.from(data as string, "latin1"), 4, ["content", "to_connection_id"]));
  if (scalars === undefined) return undefined;
  return Object.fromEntries([...scalars].map(([key, { type, text }]) => [key, `${type}:${text.toString("latin1")}`]));
}

describe("encoding values", () => {
  it("writes strings with their length in bytes", () => {
    expect(encodeString("").toString()).toBe('s:0:"";');
    expect(encodeString("ю").toString()).toBe('s:2:"ю";');
    expect(encodeString(Uint8Array.of(0, 255)).toString("latin1")).toBe('s:2:"\0\xff";');
  });

  it("writes integers", () => {
    expect([encodeInt(0), encodeInt(-7), encodeInt(2n ** 63n - 1n)].map(String)).toEqual([
      "i:0;",
      "i:-7;",
      "i:9223372036854775807;",
    ]);
  });

  it("writes the array that a targeted event carries", () => {
    const array = encodeArray([
      ["to_connection_id", encodeInt(2)],
      ["content", encodeString("hello")],
    ]);

    expect(array.toString()).toBe('a:2:{s:16:"to_connection_id";i:2;s:7:"content";s:5:"hello";}');
  });

  it("is reversed by reading, for any content", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.maxSafeInteger(), (content, id) => {
        const array = encodeArray([
          ["to_connection_id", encodeInt(id)],
          ["content", encodeString(content)],
        ]);

        const scalars = finishSteps(readScalars(array, 1, ["content", "to_connection_id"]));

        expect(scalars?.get("content")?.text.equals(content)).toBe(true);
        expect(scalars?.get("to_connection_id")).toEqual({ type: "int", text: Buffer.from(String(id)) });
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("reading the scalars of an array", () => {
  it("finds them in any order and of any type, among others", () => {
    const others = 's:1:"x";a:1:{s:7:"content";i:1;}s:1:"y";i:3;';
    expect(read(`a:4:{s:7:"content";i:42;${others}s:16:"to_connection_id";s:1:"2";}`)).toEqual({
      content: "int:42",
      to_connection_id: "string:2",
    });
    expect(read('a:1:{s:7:"content";d:0.10000000000000001;}')).toEqual({ content: "float:0.1" });
    expect(read('a:1:{S:7:"content";S:1:"\\41";}')).toEqual({ content: "string:A" });
    expect(read('a:1:{s:7:"content";b:0;}')).toEqual({ content: "bool:" });
    expect(read('a:1:{s:7:"content";N;}')).toEqual({ content: "null:" });
  });

  it("omits nested values, and returns the last of repeated keys", () => {
    expect(read('a:1:{s:7:"content";a:1:{i:0;s:1:"x";}}')).toEqual({});
    expect(read('a:2:{s:7:"content";i:1;s:7:"content";i:2;}')).toEqual({ content: "int:2" });
    expect(read('a:2:{s:7:"content";i:1;s:7:"content";a:0:{}}')).toEqual({});
  });

  it("refuses objects, scalars, malformed values, and values with bytes after the end", () => {
    const others = ['O:1:"A":1:{s:7:"content";i:1;}', 's:7:"content";', "a:1:{i:1;", "", "a:0:{}x", "a:1:{i:0;R:3;}"];

    expect(others.map(read)).toEqual(others.map(() => undefined));
    expect(read("a:0:{}")).toEqual({});
  });

  it("understands references as numbered in the message", () => {
    expect(read('a:2:{s:7:"content";s:1:"x";s:1:"y";R:5;}')).toEqual({ content: "string:x" });
  });

  it.each([
    ["a thousand other entries", 'i:0;s:1:"x";', 1],
    ["five hundred wanted ones, each walked and then read", 's:7:"content";N;', 3],
  ])("ends a step after %s", (_, entry, expected) => {
    const steps = readScalars(Buffer.from(`a:1500:{${entry.repeat(1_500)}}`), 1, ["content"]);

    expect([...steps].length).toBe(expected);
  });
});
