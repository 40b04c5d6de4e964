import { expect, test } from "vitest";
import { countTests } from "./test-totals.ts";

function report(
  passed: number,
  failed: number,
  files: { status: string; assertionResults: { status: string }[] }[],
): string {
  return JSON.stringify({ numPassedTests: passed, numFailedTests: failed, testResults: files });
}

test("passed and failed tests are counted", () => {
  const files = [{ status: "failed", assertionResults: [{ status: "failed" }, { status: "passed" }] }];

  expect(countTests(report(1, 1, files), 1)).toEqual({ passed: 1, failed: 1 });
});

test("a file that could not be run is a failure", () => {
  expect(countTests(report(3, 0, [{ status: "failed", assertionResults: [] }]), 1)).toEqual({ passed: 3, failed: 1 });
});

test("a run that failed without a failed test is not told as a success", () => {
  expect(countTests(report(3, 0, []), 1)).toEqual({ passed: 3, failed: 1 });
  expect(countTests(undefined, 1)).toEqual({ passed: 0, failed: 1 });
});
