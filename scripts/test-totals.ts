/** What a vitest run amounts to. */
export type Totals = {
  readonly passed: number;
  readonly failed: number;
  /** Number of skipped tests by file, without files that have none. */
  readonly skipped: ReadonlyMap<string, number>;
};

type VitestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
};

/**
 * Counts a report of vitest's `json` reporter. A file that could not be run counts as one failure, and so does a run
 * that failed otherwise: "0 failed" must mean that all is well.
 */
export function countTests(reportText: string | undefined, exitCode: number): Totals {
  const report = reportText === undefined ? undefined : (JSON.parse(reportText) as VitestReport); // vitest wrote it
  const brokenFiles = report?.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  );
  const failed = (report?.numFailedTests ?? 0) + (brokenFiles?.length ?? 0);
  return {
    passed: report?.numPassedTests ?? 0,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: skippedByFile(report),
  };
}

function skippedByFile(report: VitestReport | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, assertionResults } of report?.testResults ?? []) {
    const count = assertionResults.filter(({ status }) => status === "skipped" || status === "pending").length;
    if (count > 0) counts.set(name, count);
  }
  return counts;
}
