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
  it.each<[piece: string, token: string, reader: Reader, result: boolean | number, content: string]>([
    ["an integer", "i:-7;", (tokens) => tokens.skipInteger(), true, "-7"],
    ["a float", "d:1.0E+25;", (tokens) => tokens.skipFloat(), true, "1.0E+25"],
    ["an infinite float", "d:-INF;", (tokens) => tokens.skipFloat(), true, "-INF"],
    ["a boolean", "b:1;", (tokens) => tokens.skipBoolean(), true, "1"],
    ["a string of any bytes", 's:4:"";}\0";', (tokens) => tokens.skipString(), true, '";}\0'],
    ["an empty string", 's:0:"";', (tokens) => tokens.skipString(), true, ""],
    // Its length counts characters.
    ["an escaped string", 'S:3:"\\41b\\63";', (tokens) => tokens.skipEscapedString(), true, "\\41b\\63"],
    ["the head of an array", "a:2:{", (tokens) => tokens.enterArray(), 2, ""],
    ["the head of an object", 'O:8:"App\\User":0:{', (tokens) => tokens.enterObject(), 0, "App\\User"],
    ["an opaque object", 'C:1:"A":2:{}}}', (tokens) => tokens.skipOpaqueObject(), true, "A"],
    ["an enum case", 'E:6:"A:Case";', (tokens) => tokens.skipEnumCase(), true, "A:Case"],
    ["a reference", "r:7;", (tokens) => tokens.readReference(), 7, "7"],
  ])("finds the end and the content of %s", (_, token, reader, result, content) => {
    expect(read(`${token}rest`, reader)).toEqual([result, content, "rest"]);
  });

  it("refuses a negative slot, and a number above the largest possible one", () => {
    const countOf = (largest: number) => new Tokens(Buffer.from("a:11:{"), largest).enterArray();

    expect(read("r:-1;", (tokens) => tokens.readReference())[0]).toBe(-1);
    expect([countOf(11), countOf(10)]).toEqual([11, -1]);
  });
});
