/** How often a draining worker closes a batch. */
export const DRAIN_STEP_MS = 100;

/**
 * Returns how many of the remaining connections to close in this step. The last one closes when the time is over, and the other workers
 * receive the clients evenly.
 */
export function drainBatchSize(remaining: number, msLeft: number): number {
  const stepsLeft = Math.max(1, Math.floor(msLeft / DRAIN_STEP_MS));
  return Math.ceil(remaining / stepsLeft);
}
