import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { phpTree, serializeTree } from "../../test-data/php-tree.ts";
import { shiftReferences, type ValueRange } from "./references.ts";
import { Scanner } from "./scanner.ts";

/** Returns the value as it is written at `slot` of a message. */
function rangeOf(bytes: Buffer, slot: number): ValueRange {
  const scanner = new Scanner(bytes, slot - 1);
  expect(scanner.skipValue()).toBe(true);
  return { bytes, start: 0, end: bytes.length, references: scanner.references };
}

describe("shifting the back-references of a value", () => {
  it("returns the bytes that PHP writes for the value in the other slot", () => {
    const slot = fc.integer({ min: 1, max: 1200 });

    fc.assert(
      fc.property(phpTree, slot, slot, (tree, from, to) => {
        const here = serializeTree(tree, from - 1).bytes;
        const there = serializeTree(tree, to - 1).bytes;

        const shifted = shiftReferences(rangeOf(here, from), from, to);

        expect(shifted?.toString("latin1")).toBe(there.toString("latin1"));
      }),
      { numRuns: 500 },
    );
  });

  it("is reversed by shifting back", () => {
    const slot = fc.integer({ min: 1, max: 200 });

    fc.assert(
      fc.property(phpTree, slot, slot, (tree, from, to) => {
        const original = serializeTree(tree, from - 1).bytes;

        const shifted = shiftReferences(rangeOf(original, from), from, to) ?? Buffer.alloc(0);
        const back = shiftReferences(rangeOf(shifted, to), to, from);

        expect(back?.equals(original)).toBe(true);
      }),
    );
  });

  it("does not copy a value without references", () => {
    const bytes = Buffer.from('s:4:"R:9;";');

    expect(shiftReferences(rangeOf(bytes, 7), 7, 4)?.buffer).toBe(bytes.buffer);
  });

  it("refuses a reference to a slot in front of the value", () => {
    const bytes = Buffer.from("a:1:{i:0;R:4;}");
    const references = [{ start: 11, end: 12, slot: 4 }];

    expect(shiftReferences({ bytes, start: 0, end: bytes.length, references }, 5, 4)).toBeUndefined();
    expect(shiftReferences({ bytes, start: 0, end: bytes.length, references }, 5, 5)).toBeUndefined();
  });
});
