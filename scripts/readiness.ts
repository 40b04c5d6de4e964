import { setTimeout as delay } from "node:timers/promises";

const pollIntervalMs = 150;
const reportIntervalMs = 5_000;

export type ReadinessOptions = {
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Told every few seconds what the service last answered. */
  onStillWaiting(answer: string): void;
};

/**
 * Resolves when the service answers `/readyz` with 200.
 *
 * @throws Error that says what it last answered, when that takes longer than `timeoutMs`.
 */
export async function waitUntilReady({ url, timeoutMs, signal, onStillWaiting }: ReadinessOptions): Promise<void> {
  const startedAt = Date.now();
  let reportedAt = startedAt;
  for (;;) {
    const answer = await askReadiness(url, signal);
    if (answer === undefined) return;
    const now = Date.now();
    if (now - startedAt > timeoutMs) throw new Error(`not ready after ${timeoutMs / 1000} s; ${url} says: ${answer}`);
    if (now - reportedAt > reportIntervalMs) {
      reportedAt = now;
      onStillWaiting(answer);
    }
    await delay(pollIntervalMs, undefined, { signal });
  }
}

/** `undefined` when it is ready, else what it said. */
async function askReadiness(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
    const text = (await response.text()).trim();
    return response.ok ? undefined : `${response.status} ${text.slice(0, 200)}`;
  } catch (error) {
    signal.throwIfAborted();
    const { cause, message } = error as Error;
    return cause instanceof Error ? cause.message || message : message;
  }
}
