import { PusherApps } from "@fanwire/pusher-protocol";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { startWorkers } from "./counting-workers.testing.ts";
import type { PusherSession } from "./session.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";

afterEach(() => void vi.useRealTimers());

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
