import { setTimeout as delay } from "node:timers/promises";
import { type History, isEarlierEpoch } from "@fanwire/bus";
import type { Position } from "@fanwire/protocol";

/** A node that hung while it led describes the history as it was, until it hears of its successor. */
const BELIEVED_AFTER_MS = 8_000;
const ASK_EVERY_MS = 250;

/**
 * Whether a position is of another history, or lies beyond the end of this one. A history that is newer than the position is
 * proof. One that is older, or ends before it, may be described by a node that led before, so it has to stay so for long
 * where there are other nodes that could lead. Takes that long at most, and ends when `isWanted` says no.
 */
export async function isForeign(
  { epoch, sequence, copy }: Position,
  history: Pick<History, "state">,
  isWanted: () => boolean,
): Promise<boolean> {
  const needed = copy === undefined ? sequence : sequence + 1;
  const until = performance.now() + BELIEVED_AFTER_MS;
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
