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

test("at the stop, items that were never published are lost, and those without an acknowledgement are unconfirmed", async () => {
  const counters = newCounters();
  const log = createLog("test", "silent");
  const logged: unknown[] = [];
  vi.spyOn(log, "error").mockImplementation((...line: unknown[]) => void logged.push(line));
  const pending = new PendingItems({ ...{ serverId: "server", maxBytes: 1_000_000, counters, log }, onFree: () => {} });
  const answers: (() => void)[] = [];
  const enqueue = () => new Promise<EnqueueOutcome>((resolve) => answers.push(() => resolve({ ok: true })));
  pending.add("jobs", Buffer.from("first"));
  pending.start({ enqueue } as unknown as WorkQueue); // it uses nothing else
  for (let count = 0; count < 3; count++) pending.add("jobs", Buffer.from("waits behind the first window"));
  expect(answers).toHaveLength(1);

  await pending.stop(AbortSignal.abort());
  for (const answer of answers) answer();
  await new Promise(setImmediate);

  expect(counters.items).toMatchObject({ stored: 0, lost: 3, unconfirmed: 1 });
  expect(logged).toEqual([
    [{ items: 3 }, "queue items lost at stop"],
    [{ items: 1 }, "queue items unconfirmed at stop: stored or lost"],
  ]);
});
