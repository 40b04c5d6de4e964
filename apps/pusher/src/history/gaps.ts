import { setTimeout as delay } from "node:timers/promises";
import type { History, LostPublications } from "@fanwire/bus";
import type { Position } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { QueuedEntry } from "./entry-queue.ts";

const RETRY_MS = 250;

type GapParts<To> = {
  readonly history: Pick<History, "lostSubjects">;
  readonly log: Log;
  subscriptionsTo(historySubject: string): readonly To[];
  allSubscriptions(): Iterable<To>;
  missed(to: readonly To[]): Promise<void>;
};

/** The entries that a consumer received after a position, and the end of the last gap between them. */
type Received = { readonly since: Position; readonly upTo: number; readonly sequences: readonly number[] };

/**
 * Reports the subscriptions that may have missed a publication in the gaps between a position and queued entries,
 * because the consumer did not receive it. A topic over its limit leaves a gap before each of its entries, so all gaps
 * are reported together. The proof of a client that resumes afterwards takes them into account.
 *
 * @returns whether that is done, which it is not once `isWanted` returns false.
 */
export async function reportGaps<To>(
  { history, log, subscriptionsTo, allSubscriptions, missed }: GapParts<To>,
  since: Position,
  queued: readonly QueuedEntry[],
  isWanted: () => boolean,
): Promise<boolean> {
  const behindGaps = entriesBehindGaps(since, queued);
  const upTo = behindGaps.at(-1)?.droppedUpTo ?? since.sequence;
  const sequences = queued
    // The mark of a history that dropped everything was not received.
    .filter(({ sequence, droppedUpTo }) => sequence > since.sequence && sequence > droppedUpTo && sequence <= upTo)
    .map(({ sequence }) => sequence);
  const lost = await lostOutside({ since, upTo, sequences }, history, isWanted);
  if (lost === undefined || !isWanted()) return false;
  const { subjects, through } = lost;
  const to = subjects === "all" ? [...allSubscriptions()] : [...new Set([...subjects].flatMap(subscriptionsTo))];
  const gap = { previous: since.sequence, through, gaps: behindGaps.length, subscriptions: to.length };
  log.warn(gap, "history dropped publications before their delivery");
  if (to.length > 0) await missed(to);
  for (const entry of behindGaps) entry.isGapReported = entry.droppedUpTo <= through;
  return true;
}

/** Returns the entries with a gap before them. */
function entriesBehindGaps(since: Position, queued: readonly QueuedEntry[]): QueuedEntry[] {
  const found: QueuedEntry[] = [];
  let previous = since.sequence;
  for (const entry of queued) {
    if (entry.droppedUpTo > previous) found.push(entry);
    previous = Math.max(previous, entry.sequence);
  }
  return found;
}

/** Returns what may be lost because it was not received. Retries while the history cannot be read. */
async function lostOutside(
  { since, upTo, sequences }: Received,
  history: GapParts<unknown>["history"],
  isWanted: () => boolean,
): Promise<LostPublications | undefined> {
  while (isWanted()) {
    const lost = await history.lostSubjects(since, upTo, sequences);
    if (lost.ok) return lost;
    await delay(RETRY_MS, undefined, { ref: false });
  }
  return undefined;
}
