import { expect, test } from "vitest";
import { countTests } from "./test-totals.ts";

type File = { name: string; status: string; assertionResults: { status: string; fullName: string }[] };

function report(passed: number, files: readonly File[]): string {
  return JSON.stringify({ numPassedTests: passed, testResults: files });
}

function file(name: string, status: string, ...statuses: string[]): File {
  return {
    name,
    status,
    assertionResults: statuses.map((each, at) => ({ status: each, fullName: `test ${at + 1}` })),
  };
}

test("passed and failed tests are counted, and failed ones named", () => {
  const totals = countTests(report(1, [file("a.test.ts", "failed", "passed", "failed")]), 1);

  expect(totals).toMatchObject({ passed: 1, failed: 1, failures: [{ path: "a.test.ts", test: "test 2" }] });
});

test("a file that could not be run is one failure without the name of a test", () => {
  const files = [file("a.test.ts", "failed"), file("b.test.ts", "failed", "skipped")];

  expect(countTests(report(3, files), 1)).toMatchObject({
    passed: 3,
    failed: 2,
    failures: [
      { path: "a.test.ts", test: undefined },
      { path: "b.test.ts", test: undefined },
    ],
  });
});

test("a failed run without a failed test counts as one failure", () => {
  expect(countTests(report(3, []), 1)).toMatchObject({ passed: 3, failed: 1, failures: [] });
  expect(countTests(undefined, 1)).toMatchObject({ passed: 0, failed: 1, failures: [] });
});

test("skipped tests are counted by file", () => {
  const files = [file("a.test.ts", "passed", "passed", "skipped", "pending"), file("b.test.ts", "passed", "passed")];

  expect(countTests(report(2, files), 0).skipped).toEqual(new Map([["a.test.ts", 2]]));
});
