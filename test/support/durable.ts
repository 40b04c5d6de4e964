import type { HistoryConfig } from "@fanwire/bus";
import type { DurableTarget } from "@fanwire/protocol";
import { openHistory, type TestHistory } from "./history.ts";

export type TestPublications = TestHistory & {
  /** Publishes durably and returns the position. */
  append(target: DurableTarget, content: string): Promise<string>;
};

export const topic = (name: string): DurableTarget => ({ kind: "topic", topic: name });
export const everyone: DurableTarget = { kind: "everyone" };

/** Opens the history for durable publications. Creates it with these limits if it does not exist. */
export async function openPublications(
  servers: readonly string[],
  config: Partial<HistoryConfig> = {},
): Promise<TestPublications> {
  const opened = await openHistory({ servers, config });
  return {
    ...opened,
    append: async (target, content) => {
      const outcome = await opened.history.append(opened.subjects.history(target), Buffer.from(content));
      if (!outcome.ok) throw new Error(`not stored: ${outcome.reason}: ${outcome.detail}`);
      return `${outcome.position.epoch}-${outcome.position.sequence}`;
    },
  };
}
