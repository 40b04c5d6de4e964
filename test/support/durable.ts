import type { LogConfig } from "@fanwire/bus";
import type { DurableTarget } from "@fanwire/protocol";
import { openLog, type TestLog } from "./log.ts";

export type TestPublications = TestLog & {
  /** Publishes durably and gives the position. */
  append(target: DurableTarget, content: string): Promise<string>;
};

export const topic = (name: string): DurableTarget => ({ kind: "topic", topic: name });
export const everyone: DurableTarget = { kind: "everyone" };

/** A durable publisher; the log is made with these limits if nobody has made it yet. */
export async function openPublications(
  servers: readonly string[],
  config: Partial<LogConfig> = {},
): Promise<TestPublications> {
  const opened = await openLog({ servers, config });
  return {
    ...opened,
    append: async (target, content) => {
      const outcome = await opened.log.append(opened.subjects.log(target), Buffer.from(content));
      if (!outcome.ok) throw new Error(`not stored: ${outcome.reason}: ${outcome.detail}`);
      return `${outcome.position.epoch}-${outcome.position.sequence}`;
    },
  };
}
