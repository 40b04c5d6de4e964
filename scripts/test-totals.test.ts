import { expect, test } from "vitest";
import { countTests } from "./test-totals.ts";

function report(
  passed: number,
  failed: number,
  files: { name?: string; status: string; assertionResults: { status: string }[] }[],
): string {
  return JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: files });
}

test("passed and failed tests are counted", () => {
  const files = [{ status: "failed", assertionResults: [{ status: "failed" }, { status: "passed" }] }];

  expect(countTests(report(1, 1, files), 1)).toMatchObject({ passed: 1, failed: 1 });
});

test("a file that could not be run is a failure", () => {
  expect(countTests(report(3, 0, [{ status: "failed", assertionResults: [] }]), 1)).toMatchObject({
    passed: 3,
    failed: 1,
  });
});

test("a run that failed without a failed test is not told as a success", () => {
  expect(countTests(report(3, 0, []), 1)).toMatchObject({ passed: 3, failed: 1 });
  expect(countTests(undefined, 1)).toMatchObject({ passed: 0, failed: 1 });
});

test("skipped tests are counted for each file", () => {
  const results = (...statuses: string[]) => statuses.map((status) => ({ status }));
  const files = [
    { name: "a.test.ts", status: "passed", assertionResults: results("passed", "skipped", "pending") },
    { name: "b.test.ts", status: "passed", assertionResults: results("passed") },
  ];

  expect(countTests(report(2, 0, files), 0).skipped).toEqual(new Map([["a.test.ts", 2]]));
});
