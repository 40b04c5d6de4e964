/** The result of one vitest run. */
export type Totals = {
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly Failure[];
  /** Number of skipped tests by file, without files that have none. */
  readonly skipped: ReadonlyMap<string, number>;
};

type Failure = {
  readonly path: string;
  /** Full name of the test. Undefined when the whole file failed, for example at an import or in `beforeAll`. */
  readonly test: string | undefined;
};

type VitestReport = {
  readonly numPassedTests: number;
  readonly testResults: readonly FileResult[];
};

type FileResult = {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
};

/**
 * Counts the report of vitest's `json` reporter. A failed file without a failed test counts as one failure. So does a
 * run whose exit code alone shows that it failed, because "0 failed" must mean success.
 */
export function countTests(reportText: string | undefined, exitCode: number): Totals {
  const report = reportText === undefined ? undefined : (JSON.parse(reportText) as VitestReport); // vitest wrote it
  const files = report?.testResults ?? [];
  const failures = files.flatMap(failuresOf);
  return {
    passed: report?.numPassedTests ?? 0,
    failed: failures.length === 0 && exitCode !== 0 ? 1 : failures.length,
    failures,
    skipped: skippedByFile(files),
  };
}

function failuresOf({ name: path, status, assertionResults }: FileResult): Failure[] {
  const tests = assertionResults.filter((test) => test.status === "failed");
  if (tests.length === 0 && status === "failed") return [{ path, test: undefined }];
  return tests.map(({ fullName }) => ({ path, test: fullName }));
}

function skippedByFile(files: readonly FileResult[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, assertionResults } of files) {
    const count = assertionResults.filter(({ status }) => status === "skipped" || status === "pending").length;
    if (count > 0) counts.set(name, count);
  }
  return counts;
}
