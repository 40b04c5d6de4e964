import { setTimeout as delay } from "node:timers/promises";
import { deadlineSignal } from "../../packages/service/src/deadline.ts";

const pollIntervalMs = 150;
const reportIntervalMs = 5_000;

export type ReadinessOptions = {
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called every few seconds with the last answer of the service. */
  onStillWaiting(answer: string): void;
};

/**
 * Waits until the service answers `/readyz` with 200.
 *
 * @throws Error with the last answer after `timeoutMs`.
 */
export async function waitUntilReady({ url, timeoutMs, signal, onStillWaiting }: ReadinessOptions): Promise<void> {
  const startedAt = Date.now();
  let reportedAt = startedAt;
  for (;;) {
    const answer = await askReadiness(url, signal);
    if (answer === undefined) return;
    const now = Date.now();
    if (now - startedAt > timeoutMs)
      throw new Error(`not ready after ${timeoutMs / 1000} s; ${url} answers: ${answer}`);
    if (now - reportedAt > reportIntervalMs) {
      reportedAt = now;
      onStillWaiting(answer);
    }
    await delay(pollIntervalMs, undefined, { signal });
  }
}

/** Returns `undefined` when the service is ready, or else its answer. */
async function askReadiness(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: deadlineSignal(5_000, signal) });
    const text = (await response.text()).trim();
    return response.ok ? undefined : `${response.status} ${text.slice(0, 200)}`;
  } catch (error) {
    signal.throwIfAborted();
    const { cause, message } = error as Error;
    return cause instanceof Error ? cause.message || message : message;
  }
}
