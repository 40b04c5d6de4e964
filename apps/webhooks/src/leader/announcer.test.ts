import type { ClusterEvent, EventName } from "@fanwire/protocol";
import { createLog } from "@fanwire/service";
import { expect, test } from "vitest";
import { HeldChanges } from "../cluster/held-changes.ts";
import { countKey, memberKey, topicKey } from "../cluster/keys.ts";
import { newCounters } from "../counters.ts";
import { AnnouncedState, BUCKETS } from "./announced-state.ts";
import { Announcer } from "./announcer.ts";
import { saveState } from "./checkpoint.ts";
import type { EventLog } from "./event-log.ts";
import type { Records } from "./records.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";
import { Throttle } from "./throttle.ts";

test("throttling: a name passes once in an interval, and other names do not wait for it", () => {
  const throttle = new Throttle(1_000);

  expect(throttle.mayPass("a", 0)).toBe(true);
  expect(throttle.mayPass("b", 500)).toBe(true);
  expect(throttle.mayPass("a", 999)).toBe(false);
  expect(throttle.mayPass("a", 1_000)).toBe(true);
  expect(throttle.mayPass("b", 1_499)).toBe(false);
  expect(throttle.mayPass("b", 1_500)).toBe(true);
  expect(throttle.mayPass("a", 1_999)).toBe(false);
});

test("a count is announced if it differs from the last one, and a busy topic's at most once in five seconds", () => {
  const now = new Map<string, number>();
  const counts = new SubscriptionCounts((topic) => now.get(topic) ?? 0, new AnnouncedState());
  const due = (...changed: string[]) => {
    for (const topic of changed) counts.onCount(topic);
    return [...counts.due()].map((topic) => `${topic} ${counts.announce(topic)}`);
  };

  expect(due("never")).toEqual([]);
  now.set("few", 100).set("busy", 101);
  expect(due("few", "busy")).toEqual(["few 100", "busy 101"]);
  expect(due("few", "busy")).toEqual([]);
  now.set("few", 99).set("busy", 102);
  expect(due("few", "busy")).toEqual(["few 99"]);
  now.set("busy", 100);
  // The change that had to wait is not forgotten.
  expect(due()).toEqual(["busy 100"]);
  now.set("few", 0);
  expect(due("few")).toEqual(["few 0"]);
  expect(due("few")).toEqual([]);
});

const stored = (name: EventName, id: string, more: Partial<ClusterEvent> = {}): ClusterEvent => ({
  ...{ name, id, time: "2026-01-01T00:00:00Z" },
  ...more,
});

test("checkpoint: the announced state has what stored events leave, and each changed bucket is saved once", () => {
  const state = new AnnouncedState();
  state.apply(stored("topic_occupied", "aaaaaaaa-3", { topic: "a" }));
  state.apply(stored("topic_occupied", "aaaaaaaa-4", { topic: "b" }));
  state.apply(stored("topic_vacated", "bbbbbbbb-1", { topic: "b" }));
  for (const user of ["u", "v"]) state.apply(stored("member_joined", "x", { topic: "a", user }));
  state.apply(stored("member_left", "bbbbbbbb-x", { topic: "a", user: "v" }));
  state.apply(stored("cache_miss", "cccccccc-9", { topic: "c", user: "u" }));
  state.apply(stored("member_joined", "dddddddd-1", { topic: "d" }));
  state.apply(stored("connection_opened", "eeeeeeee-2", { user: "u" }));
  for (const count of [2, 3]) state.apply(stored("subscription_count", "x", { topic: "a", count }));
  for (const count of [1, 0]) state.apply(stored("subscription_count", "x", { topic: "b", count }));

  expect([...state].sort()).toEqual([countKey("a"), memberKey("a", "u"), topicKey("a")]);
  expect(["ta", "tb", "tc"].map((key) => state.has(key))).toEqual([true, false, false]);
  const lastEvents = { aaaaaaaa: 4, bbbbbbbb: 1, cccccccc: 9, dddddddd: 1, eeeeeeee: 2 };
  expect(Object.fromEntries(state.lastEvents)).toEqual(lastEvents);
  const changed = state.takeChanged();
  expect([...changed.values()].flat().sort()).toEqual([...state].sort());
  expect([...changed.keys()].every((at) => at >= 0 && at < BUCKETS)).toBe(true);
  expect(changed.size).toBeGreaterThan(2);
  expect(state.takeChanged().size).toBe(0);
  state.add(topicKey("a"));
  expect(state.takeChanged().size).toBe(0);
  state.delete(topicKey("a"));
  expect([...state.takeChanged().values()].flat()).not.toContain(topicKey("a"));
});

test("keys are spread over the buckets, so that each fits into a message", () => {
  const state = new AnnouncedState();
  for (let at = 0; at < 20_000; at++) state.add(topicKey(`orders.${at}`));

  const sizes = [...state.takeChanged().values()].map(({ length }) => length);
  expect(sizes.length).toBe(BUCKETS);
  expect(Math.max(...sizes)).toBeLessThan(60);
});

function openAnnouncer(names: readonly EventName[]) {
  const present = new Set<string>();
  const counts = new Map<string, number>();
  const log: ClusterEvent[] = [];
  let room = Number.POSITIVE_INFINITY;
  let lastId = 0;
  const counters = newCounters();
  const announcer = new Announcer({
    // The rest of the log reads what is stored.
    log: {
      get isFull() {
        return log.length >= room;
      },
      add: (event: ClusterEvent) => log.push(event),
    } as unknown as EventLog,
    held: new HeldChanges(
      { isPresent: (key) => present.has(key), onDue: () => {}, now: () => 0 },
      new AnnouncedState(),
    ),
    counts: { announce: (topic) => counts.get(topic) },
    wanted: new Set(names),
    counters,
    nextId: () => `id-${++lastId}`,
  });
  const texts = () => log.map(({ name, topic, user, count }) => [name, topic, user ?? count].filter(Boolean).join(" "));
  return { announcer, present, counts, counters, log, texts, setRoom: (value: number) => (room = value) };
}

const reported = (event: ClusterEvent, number = 1, worker = "aaaaaaaa") => ({ worker, number, event });
const published = (data: string, number = 1, worker = "aaaaaaaa") =>
  reported(stored("client_published", `${worker}-${number}`, { topic: "t", data }), number, worker);

test("events are stored in order, a key once with its state of then, and the topic of a member before the member", () => {
  const names = ["topic_occupied", "topic_vacated", "member_joined", "member_left", "client_published"] as const;
  const { announcer, present, texts, setRoom, counters, log } = openAnnouncer(names);
  const [room, anna] = [topicKey("room"), memberKey("room", "anna")];

  setRoom(0);
  for (const key of [room, anna]) present.add(key);
  for (const key of [anna, room, anna, topicKey("brief")]) announcer.addKey(key);
  announcer.addEvent(published("1"));
  announcer.addEvent(reported(stored("cache_miss", "aaaaaaaa-2", { topic: "unwanted" })));
  announcer.store();
  expect([texts(), announcer.waiting]).toEqual([[], 4]);

  setRoom(2);
  announcer.store();
  expect([texts(), announcer.waiting]).toEqual([["topic_occupied room", "member_joined room anna"], 3]);
  setRoom(Number.POSITIVE_INFINITY);
  for (const key of [room, anna]) {
    present.delete(key);
    announcer.addKey(key);
  }
  announcer.store();

  expect(texts().slice(2)).toEqual(["topic_vacated room", "client_published t", "member_left room anna"]);
  expect(announcer.waiting).toBe(0);
  expect(counters.events).toMatchObject({ topic_occupied: 1, member_left: 1, client_published: 1, cache_miss: 0 });
  expect(log[0]).toMatchObject({ id: "id-1", time: expect.stringMatching(/^\d{4}-.*Z$/) });
});

test("only wanted events are announced, counts among them, and misses of one topic once in a second", () => {
  const { announcer, present, counts, texts } = openAnnouncer(["member_joined", "subscription_count", "cache_miss"]);
  present.add(memberKey("room", "anna"));

  announcer.addKey(memberKey("room", "anna"));
  for (const topic of ["t", "unchanged", "t"]) announcer.addKey(countKey(topic));
  counts.set("t", 3);
  for (const topic of ["a", "a", "b"]) announcer.addEvent(reported(stored("cache_miss", "aaaaaaaa-1", { topic })));
  announcer.store();

  expect(texts()).toEqual(["member_joined room anna", "subscription_count t 3", "cache_miss a", "cache_miss b"]);
});

test("events that wait are bounded in bytes and dropped above that, and stored ones make room", () => {
  const { announcer, counters, log, setRoom } = openAnnouncer(["client_published"]);
  setRoom(0);

  announcer.addEvent(published("x".repeat(524_288)));
  expect(counters.droppedEvents).toBe(1);
  for (let at = 0; at < 40; at++) announcer.addEvent(published("x".repeat(500_000)));
  expect([announcer.waiting, counters.droppedEvents]).toEqual([33, 8]);

  setRoom(Number.POSITIVE_INFINITY);
  announcer.store();
  for (let at = 0; at < 33; at++) announcer.addEvent(published("x".repeat(500_000)));
  announcer.store();
  expect([log.length, counters.droppedEvents]).toEqual([66, 8]);
});

test("checkpoint: the next leader receives from their workers the events that were not stored", async () => {
  const { announcer, setRoom } = openAnnouncer(["client_published"]);
  const state = new AnnouncedState();
  const add = (number: number, worker: string) => {
    state.lastEvents.set(worker, number);
    announcer.addEvent(published("x", number, worker));
  };
  const save = async () => {
    const saved = new Map<string, unknown>();
    await saveState(state, {
      eventLog: { lastSequence: 7, stored: async () => {} } as unknown as EventLog, // the state needs no more of it
      records: { save: async (name: string, record: unknown) => saved.set(name, record) } as unknown as Records,
      workers: new Set(["aaaaaaaa", "bbbbbbbb"]),
      ...{ firstWaiting: announcer.firstWaiting(), maxBytes: 1_000_000, log: createLog("test", "silent") },
    });
    return saved.get("state");
  };

  setRoom(2);
  add(4, "aaaaaaaa");
  add(1, "bbbbbbbb");
  announcer.store();
  for (const number of [5, 6]) add(number, "aaaaaaaa");
  expect(await save()).toEqual({ through: 7, lastEvents: { aaaaaaaa: 4, bbbbbbbb: 1 } });

  setRoom(Number.POSITIVE_INFINITY);
  announcer.store();
  expect(await save()).toEqual({ through: 7, lastEvents: { aaaaaaaa: 6, bbbbbbbb: 1 } });
});
