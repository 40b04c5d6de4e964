import type { Bus, BusMessage } from "@fanwire/bus";
import type { ControlRequest, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { askUntil, parseJson } from "./control-codec.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/** Additional wait after the last known worker has answered, for workers that have just started. */
const STRANGERS_MS = 20;
/** Workers answer at once. The registry checks this often whether those without an answer have ended. */
const DOUBT_EVERY_MS = 100;

type QuestionParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  /** How long all workers together may take to answer. */
  readonly timeoutMs: number;
  readonly log: Log;
};

export type Answers<Reply> = {
  /** By worker. */
  readonly replies: ReadonlyMap<string, Reply>;
  /** Workers that existed before or after the question and did not answer it. */
  readonly missing: ReadonlySet<string>;
  /** Whether the registry knows all workers. */
  readonly areAllKnown: boolean;
};

/**
 * Asks all workers, and waits for each of which it is known that it was there. Those that were found not to answer before are not
 * waited for again, and are missing all the same.
 *
 * @param before workers that were there before what is asked about: one that has ended since is missing too, unless it answered.
 * @returns undefined when NATS cannot be asked.
 */
export async function askWorkers<Reply extends { readonly worker: string }>(
  parts: QuestionParts,
  { request, schema, before = [] }: { request: ControlRequest; schema: z.ZodType<Reply>; before?: Iterable<string> },
): Promise<Answers<Reply> | undefined> {
  const { registry, timeoutMs, log } = parts;
  const replies = new Map<string, Reply>();
  const over = new AbortController();
  const lacking = () => registry.answering.filter((worker) => !replies.has(worker));
  const check = () => {
    if (registry.isSettled && lacking().length === 0) setTimeout(() => over.abort(), STRANGERS_MS);
  };
  const onReply = (message: BusMessage) => {
    const reply = schema.safeParse(parseJson(message));
    if (reply.success) {
      replies.set(reply.data.worker, reply.data);
      registry.answered(reply.data.worker);
    } else if (message.data.length > 0) {
      log.warn({ err: reply.error }, "invalid reply from worker");
    }
    check();
  };

  void registry.settle(timeoutMs).then(check);
  const doubt = setInterval(() => void registry.findEnded(lacking()).then(check), DOUBT_EVERY_MS);
  const wasAsked = await askUntil(parts, request, onReply, over.signal);
  clearInterval(doubt);
  if (!wasAsked) return undefined;
  for (const worker of lacking()) registry.didNotAnswer(worker);
  const missing = [...before, ...registry.workers].filter((worker) => !replies.has(worker));
  return { replies, missing: new Set(missing), areAllKnown: registry.isSettled };
}
