/** Result of one check of the doctor. */
export type Finding = {
  /** Area, as in `NATS` or `history`. */
  readonly area: string;
  /**
   * `warning`: works, but less well than it could. `problem`: something does not work. `skipped`: could not be checked.
   */
  readonly status: "ok" | "warning" | "problem" | "skipped";
  readonly message: string;
  /** What to do. */
  readonly advice?: string;
};

type Report = (message: string, advice?: string) => Finding;

/** Returns functions that create the findings of one area. */
export function findingsOf(area: string): Readonly<Record<Finding["status"], Report>> {
  const report =
    (status: Finding["status"]): Report =>
    (message, advice) => ({ area, status, message, ...(advice !== undefined && { advice }) });
  return { ok: report("ok"), warning: report("warning"), problem: report("problem"), skipped: report("skipped") };
}
