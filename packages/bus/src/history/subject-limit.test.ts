import type { SubjectLimit } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { afterLimit, recordedLimit, unionOf, withLimit } from "./subject-limit.ts";

test("a record in a description is read as it was written, beside other text and an epoch mark", () => {
  const records: SubjectLimit[] = [
    { maxPerSubject: 1_000 },
    { maxPerSubject: Number.POSITIVE_INFINITY },
    { maxPerSubject: 20, lowerBefore: { maxPerSubject: 5, through: 0 } },
    { maxPerSubject: Number.POSITIVE_INFINITY, lowerBefore: { maxPerSubject: 5, through: 12_345 } },
  ];

  let description = "Ours (epoch mark 00000001)";
  for (const record of records) {
    description = withLimit(description, record);
    expect(recordedLimit(description)).toEqual(record);
    expect(description).toMatch(/^\(kept per subject: [^)]*\) Ours \(epoch mark 00000001\)$/);
  }
  expect(withLimit("", { maxPerSubject: 3 })).toBe("(kept per subject: 3)");
  expect(recordedLimit("Ours")).toBeUndefined();
  expect(recordedLimit()).toBeUndefined();
});

test("a raised limit records the lower one up to the end of the history, a lowered limit records nothing", () => {
  expect(afterLimit(undefined, 5, 100)).toEqual({ maxPerSubject: 5 });
  expect(afterLimit({ maxPerSubject: 5 }, 5, 100)).toEqual({ maxPerSubject: 5 });
  expect(afterLimit({ maxPerSubject: 5 }, 3, 100)).toEqual({ maxPerSubject: 3 });
  expect(afterLimit({ maxPerSubject: 3 }, 5, 100)).toEqual({
    maxPerSubject: 5,
    lowerBefore: { maxPerSubject: 3, through: 100 },
  });
});

test("several lower limits count as the lowest of them, and a limit below them removes them", () => {
  const twice = { maxPerSubject: 20, lowerBefore: { maxPerSubject: 3, through: 200 } };

  expect(afterLimit(afterLimit({ maxPerSubject: 3 }, 10, 100), 20, 200)).toEqual(twice);
  expect(afterLimit(twice, 5, 300)).toEqual({ maxPerSubject: 5, lowerBefore: twice.lowerBefore });
  expect(afterLimit(twice, 2, 300)).toEqual({ maxPerSubject: 2 });
  expect(afterLimit(afterLimit(twice, 2, 300), 20, 300)).toEqual({
    maxPerSubject: 20,
    lowerBefore: { maxPerSubject: 2, through: 300 },
  });
});

test("two records are united to the earlier limits of both", () => {
  const one = { maxPerSubject: 20, lowerBefore: { maxPerSubject: 3, through: 100 } };
  const other = { maxPerSubject: 20, lowerBefore: { maxPerSubject: 5, through: 200 } };

  expect(unionOf(one, other)).toEqual({ maxPerSubject: 20, lowerBefore: { maxPerSubject: 3, through: 200 } });
  expect(unionOf(one, { maxPerSubject: 20 })).toEqual(one);
  expect(unionOf({ maxPerSubject: 20 }, one)).toEqual(one);
});
