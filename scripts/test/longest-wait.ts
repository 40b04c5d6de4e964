/** Milliseconds until a condition counts as never met. On a busy machine the second of Vitest is too short. */
export const LONGEST_WAIT_MS = 20_000;
