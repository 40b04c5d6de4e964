import { describe, expect, it } from "vitest";
import { Tokens } from "./tokens.ts";

type Reader = (tokens: Tokens) => boolean | number;

/** Returns the result of a method, the content that it read, and the remaining bytes. */
function read(text: string, reader: Reader): [result: boolean | number, content: string, rest: string] {
  const tokens = new Tokens(Buffer.from(text, "latin1"), text.length);
  const result = reader(tokens);
  return [result, text.slice(tokens.contentStart, tokens.contentEnd), text.slice(tokens.position)];
}

describe("reading the pieces of the serialization format", () => {
  it("finds the text of a number", () => {
    expect(read("i:-7;rest", (tokens) => tokens.skipInteger())).toEqual([true, "-7", "rest"]);
    expect(read("d:1.0E+25;rest", (tokens) => tokens.skipFloat())).toEqual([true, "1.0E+25", "rest"]);
    expect(read("d:-INF;rest", (tokens) => tokens.skipFloat())).toEqual([true, "-INF", "rest"]);
    expect(read("b:1;rest", (tokens) => tokens.skipBoolean())).toEqual([true, "1", "rest"]);
  });

  it("finds any bytes of a string by its length", () => {
    expect(read('s:4:"";}\0";rest', (tokens) => tokens.skipString())).toEqual([true, '";}\0', "rest"]);
    expect(read('s:0:"";rest', (tokens) => tokens.skipString())).toEqual([true, "", "rest"]);
  });

  it("counts the characters of an escaped string, not its bytes", () => {
    expect(read('S:3:"\\41b\\63";rest', (tokens) => tokens.skipEscapedString())).toEqual([true, "\\41b\\63", "rest"]);
  });

  it("steps into arrays and objects", () => {
    expect(read("a:2:{rest", (tokens) => tokens.enterArray())).toEqual([2, "", "rest"]);
    expect(read('O:8:"App\\User":0:{rest', (tokens) => tokens.enterObject())).toEqual([0, "App\\User", "rest"]);
  });

  it("skips opaque objects", () => {
    expect(read('C:1:"A":2:{}}}rest', (tokens) => tokens.skipOpaqueObject())).toEqual([true, "A", "rest"]);
    expect(read('E:6:"A:Case";rest', (tokens) => tokens.skipEnumCase())).toEqual([true, "A:Case", "rest"]);
  });

  it("reads the slot of a reference", () => {
    expect(read("r:7;rest", (tokens) => tokens.readReference())).toEqual([7, "7", "rest"]);
    expect(read("r:-1;", (tokens) => tokens.readReference())[0]).toBe(-1);
  });

  it("refuses a number above the largest possible one", () => {
    const tokens = new Tokens(Buffer.from("a:11:{"), 10);

    expect(tokens.enterArray()).toBe(-1);
  });
});
