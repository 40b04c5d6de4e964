import { type MissingReason, missingReason, type Position, type Replay } from "@fanwire/protocol";
import { failed } from "./failures.ts";
import type { Outcome, ReadReplay, StoredPublication } from "./history.ts";

type Facts = {
  find(sequence: number): Promise<Outcome<{ readonly publication: StoredPublication | undefined }>>;
  /** Resolves with undefined when a retry may prove it. */
  droppedNothing(question: {
    readonly filter: string;
    readonly since: Position;
    readonly firstSequence: number;
  }): Promise<boolean | undefined>;
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
  if (droppedNothing === undefined) return failed("unusable", "the last publications cannot be read", true);
  let known: Replay = { ...replay, droppedNothing };
  const reasonWithoutUnread = () => missingReason({ ...known, unread: 0 });
  if (reasonWithoutUnread() === "over-subject-limit") {
    const found = await facts.find(since.sequence);
    if (!found.ok) return found;
    known = { ...known, subjectAtSince: found.publication?.subject };
  }
  const reason = missingReason(known);
  const isUndecided = reason !== undefined && reasonWithoutUnread() === undefined;
  return isUndecided
    ? failed("unusable", "too much was stored while the history was read", true)
    : { ok: true, reason };
}

/** Counts the publications of each subject. */
export function countSubjects(publications: Iterable<Pick<StoredPublication, "subject">>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { subject } of publications) counts.set(subject, (counts.get(subject) ?? 0) + 1);
  return counts;
}
