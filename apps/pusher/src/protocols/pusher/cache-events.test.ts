import type { History, StoredPublication } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test, vi } from "vitest";
import { CacheEvents } from "./cache-events.ts";

type Outcome = Awaited<ReturnType<History["last"]>>;

/** Cache events of a history that gives these answers, the last one again and again. */
function openCache(outcomes: readonly Outcome[], epoch?: string) {
  let reads = 0;
  const cache = new CacheEvents({
    // The cache uses nothing else of the history.
    history: { last: async () => outcomes[Math.min(reads++, outcomes.length - 1)] } as unknown as History,
    subjects: new Subjects("test"),
    epoch: () => epoch,
  });
  return { cache, reads: () => reads };
}

const unusable: Outcome = { ok: false, reason: "unusable", detail: "" };
const noJetStream: Outcome = { ok: false, reason: "no-jetstream", detail: "" };
const none: Outcome = { ok: true, publication: undefined };

/** The last publication of the history. */
function published(minutesAgo: number) {
  const publication = { sequence: 7, time: new Date(Date.now() - minutesAgo * 60_000) };
  return { ok: true, publication: publication as StoredPublication } as const;
}

test("an event is cached for half an hour, and replayed from the position before it", async () => {
  expect(await openCache([published(29)], "e1").cache.last("cache-a")).toMatchObject({ since: "e1-6" });
  expect(await openCache([published(31)], "e1").cache.last("cache-a")).toBe("none");
});

test("without an epoch there is an event, but no position to replay from", async () => {
  expect(await openCache([noJetStream]).cache.last("cache-a")).toBe("none");
  expect(await openCache([published(0)]).cache.last("cache-a")).toMatchObject({ publication: {}, since: undefined });
});

test("a history that cannot be read for a moment is read again, and its answer holds", async () => {
  const away = openCache([unusable, { ok: false, reason: "unavailable", detail: "" }, none]);
  const elected = openCache([noJetStream, none], "e1");

  expect(await away.cache.last("cache-a")).toBe("none");
  expect(away.reads()).toBe(3);
  expect(await elected.cache.last("cache-a")).toBe("none");
  expect(elected.reads()).toBe(2);
});

test("nobody learns that there is no event while that is unknown, and a client that left reads no longer", async () => {
  vi.useFakeTimers();
  const away = openCache([unusable], "e1");
  const gone = openCache([noJetStream], "e1");

  const outcomes = [away.cache.last("cache-a"), gone.cache.last("cache-a"), away.cache.last("cache-b", () => false)];
  await vi.advanceTimersByTimeAsync(6_000);

  expect(await Promise.all(outcomes)).toEqual(["unreadable", "none", "unreadable"]);
  expect(away.reads()).toBeLessThan(12);
  vi.useRealTimers();
});

test("clients that subscribe at the same time share a read, and later ones read again", async () => {
  const { cache, reads } = openCache([published(0)], "e1");

  await Promise.all([cache.last("cache-a"), cache.last("cache-a"), cache.last("cache-b")]);
  await cache.last("cache-a");

  expect(reads()).toBe(3);
});
