import { type HistoryState, type MissingReason, missingReason, type Position } from "@fanwire/protocol";
import type { Outcome, StoredPublication } from "./history.ts";

/** A replay of one filter after a position, read to its end. */
export type ReadReplay = {
  readonly filter: string;
  readonly since: Position;
  /** Number of publications by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /** State after the last of them was read. */
  readonly history: HistoryState;
};

type Facts = {
  find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>>;
  droppedNothing(question: {
    readonly filter: string;
    readonly since: Position;
    readonly firstSequence: number;
  }): Promise<boolean>;
};

/** Returns why a replay may be incomplete. Requests further facts only if the known ones do not prove it complete. */
export async function reasonOf(
  replay: ReadReplay,
  facts: Facts,
): Promise<Outcome<{ readonly reason: MissingReason | undefined }>> {
  const { filter, since, history } = replay;
  const droppedNothing =
    missingReason(replay) === "expired" &&
    (await facts.droppedNothing({ filter, since, firstSequence: history.firstSequence }));
  const reason = missingReason({ ...replay, droppedNothing });
  if (reason !== "over-subject-limit") return { ok: true, reason };

  const found = await facts.find(since.sequence);
  if (!found.ok) return found;
  return { ok: true, reason: missingReason({ ...replay, droppedNothing, subjectAtSince: found.publication?.subject }) };
}

/** Counts the publications of each subject. */
export function countSubjects(publications: Iterable<Pick<StoredPublication, "subject">>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { subject } of publications) counts.set(subject, (counts.get(subject) ?? 0) + 1);
  return counts;
}
