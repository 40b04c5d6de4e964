import type { EnqueueOutcome, WorkQueue } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { expect, test, vi } from "vitest";
import { newCounters } from "./counters.ts";
import { PendingItems } from "./pending-items.ts";

test("backpressure: stored items and items that NATS never takes make room, and a retry keeps its id", async () => {
  const counters = newCounters();
  let freed = 0;
  const pending = new PendingItems({
    ...{ serverId: "server", maxBytes: 1_000, counters, log: createLog("test", "silent") },
    onFree: () => freed++,
  });
  const tried: string[] = [];
  let isAway = true;
  const enqueue = async (subject: string, content: Uint8Array, id: string): Promise<EnqueueOutcome> => {
    tried.push(`${subject} ${id}`);
    if (content.length > 600) return { ok: false, reason: "too-large", detail: "large" };
    return isAway ? { ok: false, reason: "unavailable", detail: "away" } : { ok: true };
  };

  pending.add("large", Buffer.alloc(700));
  pending.add("small", Buffer.alloc(300));
  expect([pending.isCongested, pending.itemCount]).toEqual([true, 2]);
  pending.start({ enqueue } as unknown as WorkQueue); // it uses nothing else
  await vi.waitUntil(() => freed === 1);
  expect(pending.isCongested).toBe(false);
  isAway = false;
  await vi.waitUntil(() => pending.itemCount === 0);

  expect(pending.bytes).toBe(0);
  expect(tried).toEqual(["large server-1", "small server-2", "small server-2"]);
  expect(counters.items).toMatchObject({ stored: 1, "too-large": 1 });
});
