import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { phpTree, serializeTree } from "../../test-data/php-tree.ts";
import { shiftReferences, type ValueRange } from "./references.ts";
import { Scanner } from "./scanner.ts";

/** Returns the value as it is written at `slot` of a message, between other bytes. */
function rangeOf(value: Buffer, slot: number): ValueRange {
  const scanner = new Scanner(value, slot - 1);
  expect(scanner.skipValue()).toBe(true);
  const start = 5;
  const references = scanner.references.map((each) => ({
    start: each.start + start,
    end: each.end + start,
    slot: each.slot,
  }));
  const bytes = Buffer.concat([Buffer.alloc(start), value, Buffer.alloc(7)]);
  return { bytes, start, end: start + value.length, references };
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

  it.each([
    ["without references", 's:4:"R:9;";', 4],
    ["that stays in its slot", "a:1:{i:0;R:7;}", 7],
  ])("does not copy a value %s", (_, text, to) => {
    const value = rangeOf(Buffer.from(text), 7);

    const shifted = shiftReferences(value, 7, to);

    expect(shifted?.toString()).toBe(text);
    value.bytes.fill("x");
    expect(shifted?.toString()).toBe("x".repeat(text.length));
  });

  it("refuses a reference to a slot in front of the value", () => {
    const bytes = Buffer.from("a:1:{i:0;R:4;}");
    const references = [{ start: 11, end: 12, slot: 4 }];

    expect(shiftReferences({ bytes, start: 0, end: bytes.length, references }, 5, 4)).toBeUndefined();
    expect(shiftReferences({ bytes, start: 0, end: bytes.length, references }, 5, 5)).toBeUndefined();
  });
});
