import fc from "fast-check";
import { expect, test } from "vitest";
import { type HistoryState, missingReason, type Replay } from "./recovery-proof.ts";

const history: HistoryState = { epoch: "e1", firstSequence: 5, lastSequence: 50, maxPerSubject: 3 };

/** Returns the reason for a replay that differs by `change` from a complete one. `at`: sequence of its position. */
function reasonOf({ at = 10, ...change }: Partial<Replay> & { readonly at?: number } = {}) {
  const since = { epoch: "e1", sequence: at };
  return missingReason({ since, counts: new Map([["a", 2]]), unread: 0, history, ...change });
}

test("a replay below the limit per subject is complete if nothing after its position was dropped", () => {
  expect(reasonOf()).toBeUndefined();
  expect(reasonOf({ counts: new Map() })).toBeUndefined();
  expect(reasonOf({ at: 4 })).toBeUndefined();
  expect(reasonOf({ at: 50, counts: new Map() })).toBeUndefined();
});

test("a position of another epoch, or beyond the end, proves nothing", () => {
  expect(reasonOf({ since: { epoch: "e2", sequence: 10 } })).toBe("recreated");
  expect(reasonOf({ at: 51, counts: new Map() })).toBe("recreated");
});

test("a gap between the position and the first publication stored proves nothing", () => {
  expect(reasonOf({ at: 3 })).toBe("expired");
  expect(reasonOf({ at: 0, counts: new Map() })).toBe("expired");
});

test("a replay at the limit per subject proves nothing, unless the publication at the position is of that subject and stored", () => {
  const counts = new Map([["a", 3]]);

  expect(reasonOf({ counts })).toBe("over-subject-limit");
  expect(reasonOf({ counts, subjectAtSince: "a" })).toBeUndefined();
  expect(reasonOf({ counts, subjectAtSince: "b" })).toBe("over-subject-limit");
  expect(reasonOf({ counts: new Map([...counts, ["b", 3]]), subjectAtSince: "a" })).toBe("over-subject-limit");
});

test("publications that were stored behind the replay count as if they were of each subject", () => {
  const counts = new Map([["a", 1]]);

  expect(reasonOf({ counts, unread: 1 })).toBeUndefined();
  expect(reasonOf({ counts, unread: 2 })).toBe("over-subject-limit");
  expect(reasonOf({ counts, unread: 2, subjectAtSince: "a" })).toBeUndefined();
  expect(reasonOf({ counts: new Map(), unread: 2 })).toBeUndefined();
  expect(reasonOf({ counts: new Map(), unread: 3, subjectAtSince: "a" })).toBe("over-subject-limit");
});

test("a lower limit that was in force after the position counts", () => {
  const raised = { ...history, maxPerSubject: 10, lowerBefore: { maxPerSubject: 2, through: 20 } };

  expect(reasonOf({ history: raised, at: 19 })).toBe("over-subject-limit");
  expect(reasonOf({ history: raised, at: 19, subjectAtSince: "a" })).toBeUndefined();
  expect(reasonOf({ history: raised, at: 19, counts: new Map([["a", 1]]) })).toBeUndefined();
  expect(reasonOf({ history: raised, at: 20 })).toBeUndefined();
});

test("publications dropped after the position count, unless they are known to be of other subjects", () => {
  expect(reasonOf({ at: 3, droppedNothing: true })).toBeUndefined();
  expect(reasonOf({ at: 3, droppedNothing: true, counts: new Map([["a", 3]]) })).toBe("over-subject-limit");
  expect(reasonOf({ since: { epoch: "e2", sequence: 3 }, droppedNothing: true })).toBe("recreated");
});

test("an empty history is complete from its beginning", () => {
  const empty = { epoch: "e1", firstSequence: 0, lastSequence: 0, maxPerSubject: 3 };

  expect(reasonOf({ at: 0, counts: new Map(), history: empty })).toBeUndefined();
});

test("when all publications have expired, only a reader of the last one is complete", () => {
  const expired = { epoch: "e1", firstSequence: 51, lastSequence: 50, maxPerSubject: 3 };

  expect(reasonOf({ at: 50, counts: new Map(), history: expired })).toBeUndefined();
  expect(reasonOf({ at: 49, counts: new Map(), history: expired })).toBe("expired");
});

/**
 * Model of JetStream: keeps at most `maxPerSubject` of each subject and `maxTotal` of all, the oldest dropped first.
 */
function modelOf(published: readonly string[], maxPerSubject: number, maxTotal: number): ReadonlySet<number> {
  const kept = new Map<number, string>();
  for (const [at, subject] of published.entries()) {
    kept.set(at + 1, subject);
    const [oldestOfSubject] = [...kept].filter(([, other]) => other === subject).slice(0, -maxPerSubject);
    if (oldestOfSubject !== undefined) kept.delete(oldestOfSubject[0]);
    const [oldest] = kept.keys();
    if (kept.size > maxTotal && oldest !== undefined) kept.delete(oldest);
  }
  return new Set(kept.keys());
}

test("random histories: never falsely complete, and incomplete only according to the rule", () => {
  const history = fc.record({
    published: fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 40 }),
    maxPerSubject: fc.integer({ min: 1, max: 8 }),
    maxTotal: fc.integer({ min: 1, max: 20 }),
    wanted: fc.subarray(["a", "b", "c"], { minLength: 1 }),
    at: fc.nat({ max: 40 }),
  });

  let proved = 0;
  fc.assert(
    fc.property(history, ({ published, maxPerSubject, maxTotal, wanted, at }) => {
      fc.pre(at <= published.length);
      const kept = modelOf(published, maxPerSubject, maxTotal);
      const due = published.flatMap((subject, index) =>
        index + 1 > at && wanted.includes(subject) ? [index + 1] : [],
      );
      const counts = new Map<string, number>();
      for (const sequence of due.filter((sequence) => kept.has(sequence))) {
        const subject = published[sequence - 1] ?? "";
        counts.set(subject, (counts.get(subject) ?? 0) + 1);
      }
      const firstSequence = Math.min(...kept);

      const reason = missingReason({
        since: { epoch: "e", sequence: at },
        counts,
        unread: 0,
        history: { epoch: "e", firstSequence, lastSequence: published.length, maxPerSubject },
        subjectAtSince: kept.has(at) ? published[at - 1] : undefined,
      });

      const isWhole = due.every((sequence) => kept.has(sequence));
      if (reason === undefined) {
        proved++;
        expect(isWhole).toBe(true);
      } else {
        const overflowing = [...counts].some(([, count]) => count >= maxPerSubject);
        expect(firstSequence > at + 1 || overflowing).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(proved).toBeGreaterThan(100);
});
