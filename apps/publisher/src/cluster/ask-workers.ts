import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import type { ControlRequest, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { askUntil } from "./control-codec.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/** Additional wait after the last known worker has answered, for workers that have just started. */
const NEW_WORKERS_MS = 20;
/** Workers answer at once. The registry checks this often whether those without an answer have ended. */
const CHECK_ENDED_EVERY_MS = 100;

type QuestionParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  /** Maximum time until the answers of all workers, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Log;
};

export type Answers<Reply> = {
  /** By worker. */
  readonly replies: ReadonlyMap<string, Reply>;
  /** Workers that existed before or after the question and did not answer it. */
  readonly missing: ReadonlySet<string>;
  /** Whether no running worker can be unknown to the registry. */
  readonly areAllKnown: boolean;
};

/** The registry before the publications in question. */
export type WorkersBefore = { readonly workers: ReadonlySet<string>; readonly endedCount: number };

type Question<Reply> = {
  readonly request: ControlRequest;
  readonly schema: z.ZodType<Reply>;
  /** Workers that have ended since then without an answer are missing, also those that were not known then. */
  readonly before?: WorkersBefore;
};

/**
 * Asks all workers and waits until all known workers have answered. Does not wait for workers that did not answer the
 * last question, but returns them as missing.
 *
 * @returns undefined if nothing was sent to NATS.
 */
export async function askWorkers<Reply extends { readonly worker: string }>(
  parts: QuestionParts,
  { request, schema, before }: Question<Reply>,
): Promise<Answers<Reply> | undefined> {
  const { registry, timeoutMs, log } = parts;
  const replies = new Map<string, Reply>();
  const ended = new AbortController();
  let isSettled = false;
  const unanswered = () => registry.answering.filter((worker) => !replies.has(worker));
  const check = () => {
    if (isSettled && unanswered().length === 0) setTimeout(() => ended.abort(), NEW_WORKERS_MS);
  };
  const onReply = (message: BusMessage) => {
    const reply = schema.safeParse(parseJson(message));
    if (reply.success) {
      replies.set(reply.data.worker, reply.data);
      registry.seen(reply.data.worker);
    } else if (message.data.length > 0) {
      log.warn({ err: reply.error }, "invalid reply from worker");
    }
    check();
  };

  void registry.settle(timeoutMs).then(() => {
    isSettled = true;
    check();
  });
  const checks = setInterval(() => void registry.findEnded(unanswered()).then(check), CHECK_ENDED_EVERY_MS);
  const wasAsked = await askUntil(parts, request, onReply, ended.signal);
  clearInterval(checks);
  if (!wasAsked) return undefined;
  for (const worker of unanswered()) registry.didNotAnswer(worker);
  const earlier = before === undefined ? [] : [...before.workers, ...registry.endedSince(before.endedCount)];
  const missing = [...earlier, ...registry.workers].filter((worker) => !replies.has(worker));
  return { replies, missing: new Set(missing), areAllKnown: registry.knowsAll };
}
