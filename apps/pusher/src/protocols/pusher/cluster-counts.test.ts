import { expect, test, vi } from "vitest";
import { startWorkers } from "./counting-workers.testing.ts";

test("counts and questions reach other workers in parts when NATS takes only small messages", async () => {
  const { one, other } = startWorkers();
  for (const { link } of [one, other]) link.maxPayload = 1_024;
  const keys = Array.from({ length: 100 }, (_, at) => `topic-${at}-${"x".repeat(100)}`);

  for (const [at, key] of keys.entries()) one.counts.set(key, at + 1);
  await vi.advanceTimersByTimeAsync(1_000);
  for (const key of keys) other.counts.watch(key);
  await vi.advanceTimersByTimeAsync(5_000);

  expect(keys.map((key) => other.counts.total(key))).toEqual(keys.map((_, at) => at + 1));
  for (const { link } of [one, other]) expect(link.refused).toBeGreaterThan(0);
});

test("a count that becomes zero while its worker reconnects is zero for the others", async () => {
  const { one, other } = startWorkers();
  one.counts.set("user:a", 1);
  other.counts.watch("user:a");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(other.counts.total("user:a")).toBe(1);

  one.link.state = "away";
  one.counts.set("user:a", 0);
  await vi.advanceTimersByTimeAsync(1_000);
  one.reconnect();
  await vi.advanceTimersByTimeAsync(2_000);

  expect(other.counts.total("user:a")).toBe(0);
});

test("a worker asks again when NATS has lost a report, and informs clients only of the answer", async () => {
  const { one, other } = startWorkers();
  one.counts.set("topic:changed", 3);
  one.counts.set("topic:same", 3);
  for (const key of ["topic:changed", "topic:same"]) other.counts.watch(key);
  await vi.advanceTimersByTimeAsync(3_000);
  other.informed.length = 0;

  one.link.state = "losing";
  one.counts.set("topic:changed", 2);
  await vi.advanceTimersByTimeAsync(500);
  one.link.state = "connected";
  await vi.advanceTimersByTimeAsync(3_000);

  expect(other.counts.total("topic:changed")).toBe(2);
  expect(Object.fromEntries(other.informed)).toEqual({ "topic:changed": 2, "topic:same": 3 });
  expect(other.informed).not.toContainEqual(["topic:same", 0]);
});

test("a question that was written to a lost connection is asked again", async () => {
  const { one, other } = startWorkers();
  one.counts.set("user:a", 1);
  await vi.advanceTimersByTimeAsync(1_000);

  other.link.state = "losing";
  other.counts.watch("user:a");
  await vi.advanceTimersByTimeAsync(200);
  other.reconnect();
  await vi.advanceTimersByTimeAsync(2_000);

  expect(other.counts.total("user:a")).toBe(1);
});

test("reports of an earlier release have no numbers, and are applied without further questions", async () => {
  const { one, deliver } = startWorkers();
  one.counts.set("user:b", 1);
  one.counts.watch("user:a");
  const report = (counts: [string, number][], asks: string[] = []) =>
    deliver({ worker: "cccccccc", counts, asks, isLast: false });
  report([["user:a", 1]]);
  await vi.advanceTimersByTimeAsync(2_000);
  one.sent.length = 0;

  for (const count of [2, 1, 3]) {
    report([["user:a", count]]);
    await vi.advanceTimersByTimeAsync(200);
    expect(one.counts.total("user:a")).toBe(count);
  }
  expect(one.sent.flatMap(({ asks }) => asks)).toEqual([]);

  // It would not notice that a report of this worker is missing.
  one.reconnect();
  await vi.advanceTimersByTimeAsync(200);
  expect(one.sent.flatMap(({ counts }) => counts)).toEqual([["user:b", 1]]);
  expect(one.sent.flatMap(({ asks }) => asks)).toEqual(["user:a"]);
});

test("a key is known when the others had time to answer, and clients are informed of no other", async () => {
  const { one, other } = startWorkers();
  const keys = Array.from({ length: 3_000 }, (_, at) => `user:${at}`);
  for (const key of keys) one.counts.set(key, 1);
  await vi.advanceTimersByTimeAsync(1_000);

  for (const key of keys) other.counts.watch(key);
  await vi.advanceTimersByTimeAsync(450);
  expect(keys.map((key) => other.counts.isKnown(key)).filter(Boolean)).toHaveLength(1_000);
  await vi.advanceTimersByTimeAsync(250);

  expect(keys.every((key) => other.counts.isKnown(key))).toBe(true);
  expect(other.informed).toEqual(keys.map((key) => [key, 1]));
});

test("nothing is known from a reconnection until the others had time to answer again", async () => {
  const { one, other } = startWorkers();
  one.counts.set("user:a", 1);
  other.counts.watch("user:a");
  await vi.advanceTimersByTimeAsync(2_000);
  other.informed.length = 0;

  other.link.state = "away";
  await vi.advanceTimersByTimeAsync(2_000);
  other.reconnect();
  expect(other.counts.isKnown("user:a")).toBe(false);
  await vi.advanceTimersByTimeAsync(2_000);

  expect(other.counts.isKnown("user:a")).toBe(true);
  expect(new Set(other.informed.map(String))).toEqual(new Set(["user:a,1"]));
});

test("answers do not wait behind many changes", async () => {
  const { one, other } = startWorkers();
  one.counts.set("user:a", 1);
  await vi.advanceTimersByTimeAsync(1_000);

  other.counts.watch("user:a");
  for (let at = 0; at < 5_000; at++) one.counts.set(`topic:${at}`, 1);
  await vi.advanceTimersByTimeAsync(350);

  expect(other.counts.total("user:a")).toBe(1);
});
