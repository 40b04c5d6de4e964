import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readArrayKey, readScalar } from "./scalars.ts";
import { Scanner } from "./scanner.ts";

const hasPhp = spawnSync("php", ["-v"]).status === 0;

function scanned(serialized: string): [bytes: Buffer, start: number, scanner: Scanner] {
  const bytes = Buffer.from(serialized, "latin1");
  const scanner = new Scanner(bytes);
  expect(scanner.skipValue()).toBe(true);
  return [bytes, 0, scanner];
}

function keyOf(serialized: string): string | undefined {
  return readArrayKey(...scanned(serialized));
}

function textOf(serialized: string): string | undefined {
  return readScalar(...scanned(serialized))?.text.toString("latin1");
}

describe("the identity of a scalar as array key", () => {
  it("is the same for an integer and its canonical text, and for nothing else", () => {
    const five = ["i:5;", "i:+5;", `i:${"0".repeat(30)}5;`, 's:1:"5";', 'S:1:"\\35";', "d:5.9;"];
    const others = ['s:2:"05";', 's:2:" 5";', 's:2:"+5";', 's:3:"5.0";', "i:-5;"];

    expect(five.map(keyOf)).toEqual(["5", "5", "5", "5", "5", "5"]);
    expect(others.map(keyOf)).toEqual(["05", " 5", "+5", "5.0", "-5"]);
  });

  it("distinguishes strings from integers that they resemble", () => {
    expect([keyOf("i:-0;"), keyOf('s:2:"-0";')]).toEqual(["0", "-0"]);
    expect([keyOf("i:9223372036854775808;"), keyOf('s:19:"9223372036854775808";')]).toEqual([
      "9223372036854775807",
      "9223372036854775808",
    ]);
    expect(["i:-009223372036854775809;", "i:-1234567890123456789;"].map(keyOf)).toEqual([
      "-9223372036854775808",
      "-1234567890123456789",
    ]);
  });

  it("is one character per byte", () => {
    const strings = ['s:4:"\0\xff\xd0\xb2";', 's:3:"\\41";', 'S:1:"\\fF";'];

    expect(strings.map(keyOf)).toEqual(["\0\xff\xd0\xb2", "\\41", "\xff"]);
  });

  it("is a digit for booleans and empty for null", () => {
    expect(["b:1;", "b:0;", "N;"].map(keyOf)).toEqual(["1", "0", ""]);
  });

  it("drops the fraction of floats, wraps large ones, and is 0 for those that are not finite", () => {
    const floats = ["d:2.9;", "d:-1.5;", "d:-0.5;", "d:NAN;", "d:-INF;", "d:1.0E+19;", "d:1.0E+30;"];

    expect(floats.map(keyOf)).toEqual(["2", "-1", "0", "0", "0", "-8446744073709551616", "5076964154930102272"]);
  });

  it("is undefined for any other value", () => {
    const others = ["a:0:{}", 'O:1:"A":0:{}', 'E:6:"A:Case";', 'a:1:{i:0;s:1:"x";}'];

    expect(others.map(keyOf)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("takes little time for ten million digits", () => {
    const before = process.cpuUsage();

    expect(keyOf(`i:${"9".repeat(10_000_000)};`)).toBe("9223372036854775807");
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  });
});

describe("the text of a scalar", () => {
  it("is PHP's string cast", () => {
    expect(textOf('s:3:"a\0b";')).toBe("a\0b");
    expect(textOf('S:4:"\\41b\\5C\\39";')).toBe("Ab\\9");
    expect(["i:-7;", "b:1;", "b:0;", "N;"].map(textOf)).toEqual(["-7", "1", "", ""]);
  });

  it.each([
    ["0.30000000000000004", "0.3"],
    ["1", "1"],
    ["-0", "-0"],
    ["1.0E+14", "1.0E+14"],
    ["1.05E+25", "1.05E+25"],
    ["0.0001", "0.0001"],
    ["0.00001", "1.0E-5"],
    ["INF", "INF"],
    ["-INF", "-INF"],
    ["NAN", "NAN"],
    ["1.5E-7", "1.5E-7"],
    ["12345678901234.5", "12345678901234"],
    ["12345678901234.52", "12345678901235"],
    ["12345678901234.75", "12345678901235"],
    ["12345678901235.5", "12345678901236"],
  ])("prints the float %s as PHP does by default, with 14 digits: %s", (float, text) => {
    expect(textOf(`d:${float};`)).toBe(text);
  });

  it.skipIf(!hasPhp)("is what PHP itself prints for any float, and the key what PHP itself makes of it", () => {
    const near = fc.tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: -12, max: 30 }));
    const any = fc.oneof(
      fc.double(),
      near.map(([digits, exponent]) => digits * 10 ** exponent),
      near.map(([digits]) => digits * 1e8 + 12_345_678.5),
    );
    const floats = fc.sample(any, 2_000).map((value) => serializedFloat(value));
    const script =
      'error_reporting(0); ini_set("precision", "14"); while (($l = fgets(STDIN)) !== false) { $f = unserialize(trim($l)); $a = [$f => 1]; echo $f, " ", key($a), "\n"; }';

    const { stdout } = spawnSync("php", ["-n", "-r", script], { input: `${floats.join("\n")}\n`, encoding: "latin1" });

    expect(floats.map((float) => `${textOf(float)} ${keyOf(float)}`)).toEqual(stdout.trimEnd().split("\n"));
  });
});

function serializedFloat(value: number): string {
  if (Number.isNaN(value)) return "d:NAN;";
  if (!Number.isFinite(value)) return value > 0 ? "d:INF;" : "d:-INF;";
  return `d:${Object.is(value, -0) ? "-0" : value};`;
}
