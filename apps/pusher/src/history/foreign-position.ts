import { setTimeout as delay } from "node:timers/promises";
import { type History, isEarlierEpoch } from "@fanwire/bus";
import type { Position } from "@fanwire/protocol";

/**
 * Time for which a doubtful description must persist before it counts. A former leader that hung describes an old state
 * of the history until it learns of the new leader. The time is less than the 15 s of the frontier, because a resuming
 * client waits for at most 10 s.
 */
const TRUSTED_AFTER_MS = 8_000;
const ASK_EVERY_MS = 250;

/**
 * Returns whether a position is of another history, or beyond the end of this one. A history that is newer than the
 * position proves it. An older or shorter one may be described by a former leader, so with replicas the description
 * must persist for a time. Returns false early when `isWanted` does.
 */
export async function isForeign(
  position: Position,
  history: Pick<History, "state">,
  isWanted: () => boolean,
): Promise<boolean> {
  const { epoch } = position;
  const needed = lastSequenceOf(position);
  const until = performance.now() + TRUSTED_AFTER_MS;
  for (;;) {
    const state = await history.state();
    if (!state.ok) return false;
    const { epoch: current, lastSequence } = state.history;
    if (isEarlierEpoch(epoch, current)) return true;
    if (epoch === current && lastSequence >= needed) return false;
    if (!state.hasCopies || performance.now() >= until) return true;
    if (!isWanted()) return false;
    await delay(ASK_EVERY_MS, undefined, { ref: false });
  }
}

/** Returns the sequence of the last publication of which a client at this position has received a copy. */
export function lastSequenceOf({ sequence, copy }: Position): number {
  return copy === undefined ? sequence : sequence + 1;
}
