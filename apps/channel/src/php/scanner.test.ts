import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { phpTree, serializeTree } from "../../test-data/php-tree.ts";
import { allowClasses } from "./classes.ts";
import { isWholeValue } from "./safe-values.ts";
import { maxDepth, maxSlots, Scanner } from "./scanner.ts";

function scan(bytes: Uint8Array, slotsBefore?: number): { isValue: boolean; scanner: Scanner } {
  const scanner = new Scanner(bytes, slotsBefore);
  return { isValue: scanner.skipValue(), scanner };
}

const anyClass = allowClasses(["*"]);

function accepts(text: string): boolean {
  return isWholeValue(Buffer.from(text, "latin1"), 1, anyClass);
}

describe("scanning a serialized value", () => {
  it("ends exactly where the value ends, and counts its slots and references", () => {
    fc.assert(
      fc.property(phpTree, fc.uint8Array({ maxLength: 8 }), (tree, tail) => {
        const { bytes, slots, references } = serializeTree(tree);

        const { isValue, scanner } = scan(Buffer.concat([bytes, tail]));

        expect([isValue, scanner.position, scanner.slots]).toEqual([true, bytes.length, slots]);
        expect(scanner.references.length).toBe(references);
      }),
      { numRuns: 500 },
    );
  });

  it("never accepts a truncated value", () => {
    fc.assert(
      fc.property(phpTree, (tree) => {
        const { bytes } = serializeTree(tree);

        for (let length = 0; length < bytes.length; length++) {
          expect(scan(bytes.subarray(0, length)).isValue).toBe(false);
        }
      }),
    );
  });

  it("never throws and stays within bounds for any bytes and damaged values", () => {
    const alphabet = fc.constantFrom(...'aOCERrsSNbid:;"{}0123456789+-.\\eEINF');
    const grammarLike = fc.array(alphabet, { maxLength: 60 }).map((letters) => Buffer.from(letters.join("")));
    const damaged = fc.tuple(phpTree, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([tree, at, byte]) => {
      const { bytes } = serializeTree(tree);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), grammarLike, { weight: 2, arbitrary: damaged });

    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const { isValue, scanner } = scan(bytes);

        if (isValue) expect(scanner.position).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 20_000 },
    );
  });

  it.each([
    "N;",
    "b:0;",
    "i:+7;",
    "i:-0;",
    "d:1.;",
    "d:.5;",
    "d:-1E-05;",
    "d:-INF;",
    "d:NAN;",
    's:03:"abc";',
    'S:2:"\\aF\\Af";',
    'a:1:{S:1:"\\41";N;}',
    'O:1:"1":0:{}',
    'O:2:"a\\":1:{i:5;N;}',
    'O:1:"A":1:{S:4:"\\00\\ff\\00a";N;}',
    'O:4:"_z\x7f\xff":0:{}',
    "a:1:{i:0;R:1;}",
    'a:2:{i:0;O:1:"A":0:{}i:1;r:02;}',
    'a:3:{i:0;O:1:"A":0:{}i:1;r:2;i:2;r:3;}',
  ])("accepts %s, as PHP does", (text) => {
    expect(accepts(text)).toBe(true);
  });

  it.each([
    "n;",
    "N;N;",
    "N",
    "b:2;",
    "b:01;",
    "i:;",
    "i:--1;",
    "i: 1;",
    "d:.;",
    "d:1e;",
    "d:+INF;",
    "d:-NAN;",
    "d:0x1;",
    's:+3:"abc";',
    's:2:"abc";',
    's:4:"abc";',
    's:3:"abc"',
    's:3:"abc":',
    's::";',
    's:99999999999999999999:"";',
    'S:1:"\\4";',
    'S:1:"\\4g";',
    'S:1:"\\g4";',
    'S:1:"\\4-";',
    'S::"";',
    "a:1:{b:1;i:1;}",
    "a:1:{b:1;}",
    "a:1:{d:1;i:1;}",
    "a:1:{N;i:1;}",
    "a:1:{i:1;}",
    "a:1:{i:1;}}",
    "a:0:{i:1;N;}",
    "a:-1:{}",
    "a:1:{i:1;N;",
    'O:0:"":0:{}',
    'O:3:"a-b":0:{}',
    'O:3:"a{b":0:{}',
    'O:3:"a-b"i:1;N;}',
    'O:1:"AB:0:{}',
    'O:2:"\\a":0:{}',
    'O:2:"\0a":0:{}',
    'O:+1:"A":0:{}',
    'a:2:{i:0;E:3:"abc";i:1;N;}',
    'E:2:":a";',
    'E:2:"a:";',
    'C:1:"A":3:{ab}',
    'C:1:"A"::}',
    "R:1;",
    "r:1;",
    "a:1:{i:0;r:1;}",
    "a:1:{i:0;R:0;}",
    "a:1:{i:0;R:2;}",
    "a:1:{i:0;R:;}",
    "a:1:{i:0;R;}",
    "a:2:{i:0;i:5;i:1;r:2;}",
    'a:2:{i:0;O:1:"A":0:{}i:1;r:3;}',
    "a:1:{i:0;a:1:{i:0;r:2;}}",
  ])("refuses %j, as PHP does", (text) => {
    const { isValue, scanner } = scan(Buffer.from(text, "latin1"));

    expect(isValue && scanner.position === text.length).toBe(false);
    expect(accepts(text)).toBe(false);
  });

  it("numbers the slots of a part from its slot in the message, and refuses references outside it", () => {
    const part = Buffer.from('a:2:{i:0;O:1:"A":0:{}i:1;r:5;}');

    expect([4, 3, 6].map((slot) => isWholeValue(part, slot, anyClass))).toEqual([true, false, false]);
  });

  it("does not check references behind an opaque object, which may contain slots", () => {
    expect(scan(Buffer.from('a:2:{i:0;C:1:"A":4:{i:1;}i:1;r:3;}')).isValue).toBe(true);
  });

  it("refuses nesting above its limit without overflowing the stack", () => {
    function nested(depth: number): Buffer {
      return Buffer.from(`${"a:1:{i:0;".repeat(depth)}N;${"}".repeat(depth)}`);
    }

    const deepest = scan(nested(maxDepth));
    const deeper = scan(nested(maxDepth + 1));
    const hostile = scan(nested(1_000_000));

    expect([deepest.isValue, deepest.scanner.isOverLimit]).toEqual([true, false]);
    expect([deeper.isValue, deeper.scanner.isOverLimit]).toEqual([false, true]);
    expect([hostile.isValue, hostile.scanner.isOverLimit]).toEqual([false, true]);
  });

  it("refuses more values than its limit", () => {
    function list(count: number): Buffer {
      return Buffer.from(`a:${count}:{${"i:0;N;".repeat(count)}}`);
    }

    const most = scan(list(maxSlots - 1), 7);
    const more = scan(list(maxSlots));

    expect([most.isValue, most.scanner.slots]).toEqual([true, 7 + maxSlots]);
    expect([more.isValue, more.scanner.isOverLimit]).toEqual([false, true]);
  });

  it.each([
    ["a:2:{", 2, false],
    ["a:3:{", -1, true],
    ["a:x:{", -1, false],
    ['O:1:"A":2:{', -1, false],
  ])(
    "returns the number of entries of %j, or -1 if it is no array of at most two: %i",
    (text, entries, isOverLimit) => {
      const scanner = new Scanner(Buffer.from(text.padEnd(20)));

      expect([scanner.enterArray(2), scanner.isOverLimit]).toEqual([entries, isOverLimit]);
    },
  );

  it.each([
    ["998 short entries", "N;", 998, 0],
    ["999 short entries", "N;", 999, 1],
    ["2999 short entries", "N;", 2_999, 3],
    ["2 long entries", `s:600000:"${"x".repeat(600_000)}";`, 2, 1],
    ["3 long entries", `s:600000:"${"x".repeat(600_000)}";`, 3, 1],
  ])("ends a step after a thousand entries or a mebibyte: %s", (_, value, count, expected) => {
    const steps = new Scanner(Buffer.from(`a:${count}:{${`i:0;${value}`.repeat(count)}}`)).skipValueInSteps();

    expect([...steps].length).toBe(expected);
  });
});
