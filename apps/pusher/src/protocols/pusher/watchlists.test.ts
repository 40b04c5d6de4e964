import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { startWorkers } from "./counting-workers.testing.ts";
import type { PusherSession } from "./session.ts";
import { Watchlists } from "./watchlists.ts";

afterEach(() => void vi.useRealTimers());

/** A client that notes what it learns of each watched user, in order. */
function openSession(user: string) {
  const learned: string[] = [];
  const send = (frame: string) => {
    const { events } = JSON.parse(JSON.parse(frame).data);
    for (const { name, user_ids } of events) for (const id of user_ids) learned.push(`${id} ${name}`);
  };
  const session = { app: { namespace: "", watchlist: true }, user: { id: user }, send };
  return { session: session as unknown as PusherSession, learned };
}

test("nobody is shown as offline whom the worker has not asked for yet, because it asks for many others before", async () => {
  const { one, other } = startWorkers();
  one.counts.set("user:ann", 1);
  await vi.advanceTimersByTimeAsync(1_000);
  const watchlists = new Watchlists(other.counts, 3_000);
  onTestFinished(() => watchlists.stop());
  other.listeners.add((keys) => watchlists.onChanged(keys));
  const { session, learned } = openSession("carl");

  for (let at = 0; at < 10_000; at++) other.counts.watch(`user:${at}`);
  watchlists.signIn(session, ["ann", "bob"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(learned).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);

  expect(learned).toEqual(["ann online", "bob offline"]);
});

test("a reconnection of the worker shows nobody as offline, and who has left meanwhile is", async () => {
  const { one, other } = startWorkers();
  const watchlists = new Watchlists(other.counts, 0);
  onTestFinished(() => watchlists.stop());
  other.listeners.add((keys) => watchlists.onChanged(keys));
  for (const user of ["ann", "bob"]) one.counts.set(`user:${user}`, 1);
  const { session, learned } = openSession("carl");
  watchlists.signIn(session, ["ann", "bob"]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(learned).toEqual(["ann online", "bob online"]);

  other.link.state = "away";
  one.counts.set("user:bob", 0);
  await vi.advanceTimersByTimeAsync(2_000);
  other.reconnect();
  await vi.advanceTimersByTimeAsync(3_000);

  expect(learned.slice(2)).toEqual(["bob offline"]);
});
