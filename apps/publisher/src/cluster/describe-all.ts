import { type Bus, parseJson } from "@fanwire/bus";
import {
  type ServiceDescription,
  type Subjects,
  serviceDescription,
  type WorkerDescription,
  workerDescription,
} from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { encodeRequest } from "./control-codec.ts";
import type { Result } from "./failure.ts";

/** Processes answer at once. After this time without a further reply all of them have answered. */
const GATHER_STALL_MS = 250;
const GATHER_MAX_WAIT_MS = 2_000;

type DescribeParts = { readonly bus: Bus; readonly subjects: Subjects; readonly log: Log };

/**
 * Returns a description of every worker that answers. For a detailed one the worker examines each of its connections.
 */
export function describeAllWorkers(
  parts: DescribeParts,
  { detailed }: { readonly detailed: boolean },
): Promise<Result<{ readonly all: readonly WorkerDescription[] }>> {
  const content = encodeRequest({ command: "describe", ...(detailed && { detailed }) });
  return gather(parts, { subject: parts.subjects.allWorkers, content, schema: workerDescription });
}

/** Returns a description of every publisher, channel server and webhook sender that answers. */
export function describeAllServices(
  parts: DescribeParts,
): Promise<Result<{ readonly all: readonly ServiceDescription[] }>> {
  const content = Buffer.from("{}");
  return gather(parts, { subject: parts.subjects.allServices, content, schema: serviceDescription });
}

type Question<Reply> = {
  readonly subject: string;
  readonly content: Uint8Array;
  readonly schema: z.ZodType<Reply>;
};

async function gather<Reply>(
  { bus, log }: DescribeParts,
  { subject, content, schema }: Question<Reply>,
): Promise<Result<{ readonly all: readonly Reply[] }>> {
  const outcome = await bus.gather(subject, content, { stallMs: GATHER_STALL_MS, maxWaitMs: GATHER_MAX_WAIT_MS });
  if (!outcome.ok) return outcome;

  const all = outcome.messages.flatMap((message) => {
    const reply = schema.safeParse(parseJson(message));
    // An invalid reply, perhaps from another version, must not hide the others.
    if (!reply.success) log.warn({ err: reply.error, subject }, "invalid description of a process");
    return reply.success ? [reply.data] : [];
  });
  return { ok: true, all };
}
