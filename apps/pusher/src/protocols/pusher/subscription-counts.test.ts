import { setImmediate as nextTick } from "node:timers/promises";
import { PusherApps } from "@fanwire/pusher-protocol";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ClusterCounts } from "./cluster-counts.ts";
import { startWorkers } from "./counting-workers.testing.ts";
import type { PusherSession } from "./session.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";

test("the first count has the subscribers of other workers, also if the worker asks for many others before", async () => {
  const { one, other } = startWorkers();
  one.counts.set("topic:channel", 7);
  await vi.advanceTimersByTimeAsync(1_000);
  const subscriptions = new SubscriptionCounts(new PusherApps([]), other.counts);
  onTestFinished(() => subscriptions.stop());
  other.listeners.add((keys) => subscriptions.onChanged(keys));
  const sent: number[] = [];
  const send = (frame: string) => sent.push(JSON.parse(JSON.parse(frame).data).subscription_count);
  const session = { app: { subscriptionCount: true }, send } as unknown as PusherSession;

  for (let at = 0; at < 10_000; at++) other.counts.watch(`topic:${at}`);
  subscriptions.add(session, "channel", "channel");
  await vi.advanceTimersByTimeAsync(3_000);

  expect(sent).toEqual([7]);
});

test("counts of thousands of channels that change at the same time are sent in many ticks", async () => {
  let total = 10;
  const counts = { watch() {}, unwatch() {}, isKnown: () => true, total: () => total };
  const subscriptions = new SubscriptionCounts(new PusherApps([]), counts as unknown as ClusterCounts);
  onTestFinished(() => subscriptions.stop());
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  let sent = 0;
  // A write takes three microseconds.
  const send = () => {
    sent++;
    now += 0.003;
  };
  const topics = Array.from({ length: 5_000 }, (_, at) => `topic-${at}`);
  for (const topic of topics) {
    for (let at = 0; at < 10; at++) {
      subscriptions.add({ app: { subscriptionCount: true }, send } as unknown as PusherSession, topic, topic);
    }
  }
  await expect.poll(() => sent).toBe(50_000);

  total = 9;
  subscriptions.onChanged(new Set(topics.map((topic) => `topic:${topic}`)));
  expect(sent).toBe(50_000);
  while (sent < 100_000) {
    const before = sent;
    await nextTick();
    expect(sent - before).toBeLessThan(5_000);
  }
  expect(sent).toBe(100_000);
});
