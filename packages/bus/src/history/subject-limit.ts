import type { SubjectLimit } from "@fanwire/protocol";

const RECORD = / ?\(kept per subject: (all|[1-9][0-9]*)(?:, ([1-9][0-9]*) through ([0-9]+))?\)/;

/** Returns the limit that a description of the stream records; undefined without a record. */
export function recordedLimit(description = ""): SubjectLimit | undefined {
  const [, limit, lower, through] = RECORD.exec(description) ?? [];
  if (limit === undefined) return undefined;
  const maxPerSubject = limit === "all" ? Number.POSITIVE_INFINITY : Number(limit);
  if (lower === undefined) return { maxPerSubject };
  return { maxPerSubject, lowerBefore: { maxPerSubject: Number(lower), through: Number(through) } };
}

/** Returns the description with this record instead of its present one, before an epoch mark. */
export function withLimit(description: string, record: SubjectLimit): string {
  const rest = description.replace(RECORD, "").trimStart();
  return [formatLimit(record), rest].filter((part) => part !== "").join(" ");
}

function formatLimit({ maxPerSubject, lowerBefore }: SubjectLimit): string {
  const limit = Number.isFinite(maxPerSubject) ? maxPerSubject : "all";
  const lower = lowerBefore && `, ${lowerBefore.maxPerSubject} through ${lowerBefore.through}`;
  return `(kept per subject: ${limit}${lower ?? ""})`;
}

/** Returns the record of a history that has a limit now, when its end was described as `lastSequence`. */
export function afterLimit(known: SubjectLimit | undefined, maxPerSubject: number, lastSequence: number): SubjectLimit {
  if (known === undefined) return { maxPerSubject };
  const isRaised = known.maxPerSubject < maxPerSubject;
  const raised = isRaised ? { maxPerSubject: known.maxPerSubject, through: lastSequence } : undefined;
  return withLower(maxPerSubject, known.lowerBefore, raised);
}

/** Returns a record with the earlier limits of both, which have the same limit now. */
export function unionOf(one: SubjectLimit, other: SubjectLimit): SubjectLimit {
  return withLower(one.maxPerSubject, one.lowerBefore, other.lowerBefore);
}

type Lower = SubjectLimit["lowerBefore"];

/** Several earlier limits count as the lowest of them, for all sequences under any of them. */
function withLower(maxPerSubject: number, one: Lower, other: Lower): SubjectLimit {
  const all = [one, other].flatMap((each) => each ?? []).filter((each) => each.maxPerSubject < maxPerSubject);
  if (all.length === 0) return { maxPerSubject };
  const lowest = Math.min(...all.map((each) => each.maxPerSubject));
  return {
    maxPerSubject,
    lowerBefore: { maxPerSubject: lowest, through: Math.max(...all.map((each) => each.through)) },
  };
}
