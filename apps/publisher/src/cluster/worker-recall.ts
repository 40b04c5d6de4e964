import { type Bus, type BusMessage, parseJson } from "@fanwire/bus";
import { type RecallAllReply, recallAllReply, type Subjects } from "@fanwire/protocol";
import { z } from "zod";
import { askUntil } from "./control-codec.ts";

/** Minimum time between two questions. A worker that has just started cannot answer for a second. */
const ASK_EVERY_MS = 100;
/** Workers answer at once. After this time without an answer they are asked again, because they may have reconnected. */
const ANSWER_WITHIN_MS = 400;

type RecallParts = {
  readonly bus: Bus;
  readonly subjects: Subjects;
  /** Maximum time until the answers of workers. */
  readonly timeoutMs: number;
};
type Remembered = RecallAllReply["workers"][number];

/** Reply of a worker of an earlier version, which does not know the question. */
const unknownQuestion = z.object({ error: z.string() });

/**
 * Asks workers which others they remember, until one of them has returned all. Asks silent workers as soon as they
 * answer again, because they may remember others.
 */
export class WorkerRecall {
  readonly #parts: RecallParts;
  #isComplete = false;
  /** Workers that exist and have not been asked successfully. */
  readonly #silent = new Set<string>();
  /** Counts calls of {@link reset}. */
  #round = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(parts: RecallParts) {
    this.#parts = parts;
  }

  /**
   * Whether some worker has returned all others from which it received something in the last minutes. Workers that were
   * silent then and answer now must have been asked too.
   */
  isComplete(answering: readonly string[]): boolean {
    return this.#isComplete && !answering.some((worker) => this.#silent.has(worker));
  }

  /** Must be called when announcements may have been missed. */
  reset(): void {
    this.#isComplete = false;
    this.#silent.clear();
    this.#round++;
  }

  /**
   * Returns what the workers that answer remember. Does nothing if they have returned all, or if the last question was
   * just now. `known` are all workers, silent ones too.
   */
  async ask(answering: readonly string[], known: readonly string[]): Promise<readonly Remembered[]> {
    const now = performance.now();
    const isTooEarly = this.#isAsking || now - this.#askedAt < ASK_EVERY_MS;
    const asked = this.#isComplete ? answering.filter((worker) => this.#silent.has(worker)) : answering;
    if (isTooEarly || asked.length === 0) return [];
    const round = this.#round;
    this.#askedAt = now;
    this.#isAsking = true;
    try {
      const { remembered, isComplete, unanswered } = await this.#gather(asked);
      if (round !== this.#round) return remembered;
      for (const worker of asked) if (!unanswered.has(worker)) this.#silent.delete(worker);
      if (isComplete && !this.#isComplete) {
        this.#isComplete = true;
        const mayRemember = new Set([...known, ...remembered.map(({ id }) => id)]);
        for (const worker of mayRemember) {
          if (unanswered.has(worker) || !asked.includes(worker)) this.#silent.add(worker);
        }
      }
      return remembered;
    } catch {
      return []; // the bus was stopped during the question
    } finally {
      this.#isAsking = false;
    }
  }

  async #gather(workers: readonly string[]) {
    const unanswered = new Set(workers);
    const remembered: Remembered[] = [];
    let isComplete = false;
    const allAnswered = new AbortController();
    const onReply = (message: BusMessage) => {
      const reply = parseJson(message);
      const { data } = recallAllReply.safeParse(reply);
      if (data !== undefined) remembered.push(...data.workers);
      const isEarlierVersion = unknownQuestion.safeParse(reply).success;
      if (data?.isComplete === true || isEarlierVersion) isComplete = true;
      unanswered.delete(data?.worker ?? "");
      // Its reply does not name it.
      if (isEarlierVersion) unanswered.clear();
      if (unanswered.size === 0) allAnswered.abort();
    };
    const timeoutMs = Math.min(this.#parts.timeoutMs, ANSWER_WITHIN_MS);
    await askUntil({ ...this.#parts, timeoutMs }, { command: "recall-workers" }, onReply, allAnswered.signal);
    return { remembered, isComplete, unanswered };
  }
}
