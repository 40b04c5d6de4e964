import { type HistoryState, type MissingReason, missingReason, type Position } from "@fanwire/protocol";
import type { Outcome, StoredPublication } from "./history.ts";

/** What was read for one filter after a position, to its end. */
export type ReadReplay = {
  readonly filter: string;
  readonly since: Position;
  /** How many publications came, by history subject. */
  readonly counts: ReadonlyMap<string, number>;
  /** As described after the last of them was read. */
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

/** Why a replay may lack something; asks for more facts only where those at hand do not prove it. */
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

/** How many publications there are of each subject. */
export function countSubjects(publications: Iterable<Pick<StoredPublication, "subject">>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { subject } of publications) counts.set(subject, (counts.get(subject) ?? 0) + 1);
  return counts;
}
