import type { Bus, BusMessage } from "@fanwire/bus";
import type { ControlRequest, Subjects } from "@fanwire/protocol";

export function encodeRequest(request: ControlRequest): Uint8Array {
  return Buffer.from(JSON.stringify(request));
}

type AskParts = { readonly bus: Bus; readonly subjects: Subjects; readonly timeoutMs: number };

/**
 * Asks all workers and calls `onReply` for each reply until `signal` aborts, for `timeoutMs` at most. NATS replies
 * without content if there is no worker. Resolves with false if nothing was sent.
 */
export async function askUntil(
  { bus, subjects, timeoutMs }: AskParts,
  request: ControlRequest,
  onReply: (message: BusMessage) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const options = { maxWaitMs: timeoutMs, signal, onReply };
  const outcome = await bus.gather(subjects.allWorkers, encodeRequest(request), options);
  // If NATS forbids the question, every worker is missing.
  return outcome.ok || outcome.reason === "forbidden";
}
