import { setImmediate as nextTick } from "node:timers/promises";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { ClusterCounts } from "./cluster-counts.ts";
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

test("a thousand clients that watch the same users are informed in many ticks, and not at all if nothing has changed", async () => {
  let looks = 0;
  let online = 1;
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  // A look takes a microsecond.
  const total = () => {
    looks++;
    now += 0.001;
    return online;
  };
  const counts = { watch() {}, unwatch() {}, set() {}, isKnown: () => true, total };
  const watchlists = new Watchlists(counts as unknown as ClusterCounts, 0);
  onTestFinished(() => watchlists.stop());
  const users = Array.from({ length: 100 }, (_, at) => `user-${at}`);
  const keys = new Set(users.map((user) => `user:${user}`));
  const sessions = Array.from({ length: 1_000 }, () => openSession("carl"));
  for (const { session } of sessions) watchlists.signIn(session, users);
  watchlists.onChanged(keys);
  const learned = () => sessions.reduce((sum, each) => sum + each.learned.length, 0);
  await expect.poll(learned).toBe(100_000);
  // On a busy machine the first lists precede the work that the change has begun.
  for (let before = -1; before !== looks; await nextTick()) before = looks;

  looks = 0;
  watchlists.onChanged(keys);
  for (let tick = 0; tick < 100; tick++) await nextTick();
  expect(looks).toBeLessThan(1_000);

  online = 0;
  watchlists.onChanged(keys);
  now += 1_000;
  while (learned() < 200_000) {
    looks = 0;
    await nextTick();
    expect(looks).toBeLessThan(20_000);
  }
});

test("a client that signs in while nothing is known is informed of a user whose state has not changed", async () => {
  let isKnown = true;
  const counts = { watch() {}, unwatch() {}, set() {}, isKnown: () => isKnown, total: () => 1 };
  const watchlists = new Watchlists(counts as unknown as ClusterCounts, 0);
  onTestFinished(() => watchlists.stop());
  vi.useFakeTimers();
  const [first, second] = [openSession("carl"), openSession("dora")];
  watchlists.signIn(first.session, ["ann"]);
  watchlists.onChanged(new Set(["user:ann"]));
  await vi.advanceTimersByTimeAsync(1_000);

  isKnown = false;
  watchlists.signIn(second.session, ["ann"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([first.learned, second.learned]).toEqual([["ann online"], []]);
  isKnown = true;
  watchlists.onChanged(new Set(["user:ann"]));
  await vi.advanceTimersByTimeAsync(1_000);

  expect([first.learned, second.learned]).toEqual([["ann online"], ["ann online"]]);
});
