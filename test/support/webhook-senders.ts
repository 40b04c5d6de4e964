import { afterAll, beforeAll } from "vitest";
import { metric, startWebhooks, type TestWebhooks } from "./cluster.ts";
import type { TestNats } from "./nats.ts";
import { until } from "./wait.ts";

/** Starts webhook senders before the tests of a file, which end after them. Must be called after `useCluster`. */
export function useWebhookSenders(nats: TestNats, env: Readonly<Record<string, string>>, count = 1) {
  const all: TestWebhooks[] = [];
  const add = async () => {
    const started = await startWebhooks({ nats: nats.url, env });
    all.push(started);
    return started;
  };
  const leads = async ({ process, adminUrl }: TestWebhooks) =>
    process.exit() === undefined && (await metric(adminUrl, "fanwire_webhooks_leader").catch(() => 0)) === 1;
  beforeAll(async () => {
    await Promise.all(Array.from({ length: count }, add));
  });
  afterAll(async () => {
    for (const each of all) await each[Symbol.asyncDispose]();
  });
  return {
    all,
    /** Starts another sender. */
    add,
    /** Returns the sender that leads. */
    leader: () =>
      until("a webhook sender leads", async () => {
        for (const each of all) if (await leads(each)) return each;
        return undefined;
      }),
  };
}
