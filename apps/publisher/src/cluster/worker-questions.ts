import type { Bus } from "@fanwire/bus";
import type { ControlRequest, Subjects } from "@fanwire/protocol";
import type { Log } from "@fanwire/service";
import type { z } from "@hono/zod-openapi";
import { askWorkers } from "./ask-workers.ts";
import type { Result } from "./failure.ts";
import type { WorkerRegistry } from "./worker-registry.ts";

/** Empty if all existing workers have answered. */
export type Gap = {
  /** Number of known workers that did not answer. */
  readonly missing?: number;
  readonly complete?: false;
};

type QuestionsParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly registry: WorkerRegistry;
  readonly requestTimeoutMs: number;
  readonly log: Log;
};

/** Asks all workers, for at most the time in which a request of the HTTP API has to be answered. */
export class WorkerQuestions {
  readonly #parts: QuestionsParts;

  constructor(parts: QuestionsParts) {
    this.#parts = parts;
  }

  async ask<Reply extends { readonly worker: string }>(
    request: ControlRequest,
    schema: z.ZodType<Reply>,
  ): Promise<Result<{ readonly replies: readonly Reply[]; readonly gap: Gap }>> {
    const answers = await askWorkers({ ...this.#parts, timeoutMs: this.#parts.requestTimeoutMs }, { request, schema });
    if (answers === undefined) return { ok: false, reason: "unavailable" };
    const { replies, missing, areAllKnown } = answers;
    const isComplete = areAllKnown && missing.size === 0;
    const gap: Gap = isComplete ? {} : { missing: missing.size, complete: false };
    return { ok: true, replies: [...replies.values()], gap };
  }
}

/** Returns what two questions lack together. */
export function widerGap(one: Gap, other: Gap): Gap {
  if (one.complete === undefined) return other;
  if (other.complete === undefined) return one;
  return { missing: Math.max(one.missing ?? 0, other.missing ?? 0), complete: false };
}
