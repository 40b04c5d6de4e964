import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take ten seconds or more on a quiet machine, or half a minute in the slow suite. The longest begin, so
 * that they do not run alone at the end, when the files that compute have ended. The bench needs the processor, so it
 * runs beside files that wait. Vitest knows durations of the last run only, which a fresh clone does not have.
 */
export const LONGEST = [
  "test/history/recovery-model.e2e.test.ts",
  "test/browser/event-source-rolling-restart.e2e.test.ts",
  "test/webhooks/delivery.e2e.test.ts",
  "test/channel/hostile.e2e.test.ts",
  "test/pusher-protocol/audience.e2e.test.ts",
  "test/publisher/receipts.e2e.test.ts",
  "test/pusher/workers.e2e.test.ts",
  "test/pusher/client.e2e.test.ts",
  "test/pusher/presence.e2e.test.ts",
  "test/browser/console.e2e.test.ts",
  "test/history/truth.e2e.test.ts",
  "test/pusher-protocol/presence.e2e.test.ts",
  "test/channel/queues.e2e.test.ts",
  "test/pusher/limits.e2e.test.ts",
  "test/history/outage.integration.test.ts",
  "test/webhooks/journal.integration.test.ts",
  "test/history/cluster.integration.test.ts",
  "test/history/stream.integration.test.ts",
  "test/webhooks/occupancy.e2e.test.ts",
  "test/webhooks/pusher-clients.e2e.test.ts",
  "test/cluster/bench.slow.test.ts",
  "test/webhooks/faults.slow.test.ts",
  "test/pusher/presence-faults.slow.test.ts",
  "test/channel/backpressure.slow.test.ts",
  "test/history/million.slow.test.ts",
  "test/publisher/worker-away.slow.test.ts",
  "test/browser/console.slow.test.ts",
  "test/hostile/thousands.slow.test.ts",
  "test/pusher-protocol/idle.slow.test.ts",
  "test/publisher/receipts-faults.slow.test.ts",
];

export class LongestFirst extends BaseSequencer {
  /** Returns the files in the order of vitest, but with the longest of each group first. */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => groupOf(one) - groupOf(other) || this.#rankOf(one) - this.#rankOf(other));
  }

  #rankOf({ moduleId }: TestSpecification): number {
    const at = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
    return at === -1 ? LONGEST.length : at;
  }
}

function groupOf({ project }: TestSpecification): number {
  return project.config.sequence.groupOrder;
}
