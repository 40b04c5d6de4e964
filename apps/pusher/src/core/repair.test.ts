import fc from "fast-check";
import { expect, test } from "vitest";
import { isUnbroken, type Repaired } from "./repair.ts";

const log = { firstSequence: 1, maxPerSubject: 3 };
const nothing = () => false;
const read = (sequence: number, newest: number, subject = "a"): Repaired => ({
  sequence,
  subject,
  previous: 0,
  newest,
});
const came = (sequence: number, previous: number, subject = "a"): Repaired => ({
  sequence,
  subject,
  previous,
  newest: Number.POSITIVE_INFINITY,
});

test("fewer than the history keeps of a subject are complete, as many may lack older ones", () => {
  expect(isUnbroken([read(11, 13), read(12, 13), read(13, 13, "b")], 10, log, nothing)).toBe(true);
  expect(isUnbroken([read(11, 13), read(12, 13), read(13, 13)], 10, log, nothing)).toBe(false);
});

test("more are, where they were read before so many were stored", () => {
  expect(isUnbroken([read(11, 12), read(12, 12), read(13, 14), read(14, 14)], 10, log, nothing)).toBe(true);
});

test("those that came prove it, however many", () => {
  expect(isUnbroken([came(11, 7), came(12, 11), came(13, 12), came(14, 13)], 10, log, nothing)).toBe(true);
  expect(isUnbroken([came(11, 7), came(13, 12), came(14, 13)], 10, log, nothing)).toBe(false);
});

test("what was delivered before counts as there", () => {
  const isDelivered = (sequence: number) => sequence <= 13;
  expect(isUnbroken([read(11, 14), read(12, 14), read(13, 14), read(14, 14)], 10, log, isDelivered)).toBe(true);
  expect(isUnbroken([came(14, 13)], 10, log, isDelivered)).toBe(true);
});

test("nothing is proven when the whole history begins later", () => {
  expect(isUnbroken([], 10, { ...log, firstSequence: 12 }, nothing)).toBe(false);
  expect(isUnbroken([], 10, { ...log, firstSequence: 11 }, nothing)).toBe(true);
});

test("never true when one is missing, whatever came, was dropped, and when the pages were read", () => {
  const publication = fc.record({
    subject: fc.constantFrom("a", "b"),
    isHeld: fc.boolean(),
    isNamed: fc.boolean(),
    /** A page of up to so many is read after it was stored. */
    page: fc.option(fc.integer({ min: 1, max: 8 })),
  });
  let proven = 0;
  fc.assert(
    fc.property(fc.array(publication, { maxLength: 40 }), fc.integer({ min: 1, max: 6 }), (all, maxPerSubject) => {
      const repaired = new Map<number, Repaired>();
      const lastOf = new Map<string, number>();
      const stored: { sequence: number; subject: string }[] = [];
      let readTo = 0;
      const readPage = (limit: number) => {
        const newest = lastSequenceOf(stored);
        for (const { sequence, subject } of stored.filter((each) => each.sequence > readTo).slice(0, limit)) {
          repaired.set(sequence, { sequence, subject, previous: repaired.get(sequence)?.previous ?? 0, newest });
          readTo = sequence;
        }
      };
      for (const [at, { subject, isHeld, isNamed, page }] of all.entries()) {
        const sequence = at + 1;
        const previous = isNamed ? (lastOf.get(subject) ?? 0) : 0;
        lastOf.set(subject, sequence);
        stored.push({ sequence, subject });
        const own = stored.filter((each) => each.subject === subject);
        if (own[0] && own.length > maxPerSubject) stored.splice(stored.indexOf(own[0]), 1);
        if (isHeld) repaired.set(sequence, { sequence, subject, previous, newest: Number.POSITIVE_INFINITY });
        if (page !== null) readPage(page);
      }
      readPage(all.length);

      const inOrder = [...repaired.values()].sort((one, other) => one.sequence - other.sequence);
      if (!isUnbroken(inOrder, 0, { firstSequence: 1, maxPerSubject }, nothing)) return;
      proven++;
      expect(inOrder.length).toBe(all.length);
    }),
    { numRuns: 5_000 },
  );
  expect(proven).toBeGreaterThan(500);
});

function lastSequenceOf(stored: readonly { readonly sequence: number }[]): number {
  return stored.at(-1)?.sequence ?? 0;
}
