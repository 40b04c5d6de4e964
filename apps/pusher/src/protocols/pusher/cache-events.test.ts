import type { History, StoredPublication } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test, vi } from "vitest";
import { CacheEvents } from "./cache-events.ts";

const MINUTE_MS = 60_000;

type Outcome = Awaited<ReturnType<History["last"]>>;

/** Cache events of a history that gives these answers, the last one again and again. */
function openReads(outcomes: readonly Outcome[], epoch?: string) {
  let reads = 0;
  const cache = new CacheEvents({
    history: { last: async () => outcomes[Math.min(reads++, outcomes.length - 1)] } as unknown as History,
    subjects: new Subjects("test"),
    epoch: () => epoch,
  });
  return { cache, reads: () => reads };
}

const unusable: Outcome = { ok: false, reason: "unusable", detail: "" };
const noJetStream: Outcome = { ok: false, reason: "no-jetstream", detail: "" };

/** Cache events of a history whose last publication is `ageMs` old. */
function openCache(ageMs: number, epoch: string | null = "e1") {
  let reads = 0;
  const publication: Pick<StoredPublication, "sequence" | "time"> = { sequence: 7, time: new Date(Date.now() - ageMs) };
  const cache = new CacheEvents({
    // The cache uses nothing else of the history.
    history: {
      last: async () => {
        reads++;
        return { ok: true, publication };
      },
    } as unknown as History,
    subjects: new Subjects("test"),
    epoch: () => epoch ?? undefined,
  });
  return { cache, reads: () => reads };
}

test("the cached event is replayed from the position before it", async () => {
  expect(await openCache(29 * MINUTE_MS).cache.last("cache-a")).toMatchObject({ since: "e1-6" });
});

test("an event is cached for half an hour", async () => {
  expect(await openCache(31 * MINUTE_MS).cache.last("cache-a")).toBe("none");
});

test("without an epoch there is an event, but no position to replay from", async () => {
  expect(await openReads([noJetStream]).cache.last("cache-a")).toBe("none");
  expect(await openCache(0, null).cache.last("cache-a")).toMatchObject({ publication: {}, since: undefined });
});

test("a history that cannot be read for a moment is read again, and its answer holds", async () => {
  const none = openReads([
    unusable,
    { ok: false, reason: "unavailable", detail: "" },
    { ok: true, publication: undefined },
  ]);
  const elected = openReads([noJetStream, { ok: true, publication: undefined }], "e1");

  expect(await none.cache.last("cache-a")).toBe("none");
  expect(none.reads()).toBe(3);
  expect(await elected.cache.last("cache-a")).toBe("none");
  expect(elected.reads()).toBe(2);
});

test("nobody learns that there is no event while that is unknown, and a client that left reads no longer", async () => {
  vi.useFakeTimers();
  const away = openReads([unusable], "e1");
  const gone = openReads([noJetStream], "e1");

  const outcomes = [away.cache.last("cache-a"), gone.cache.last("cache-a"), away.cache.last("cache-b", () => false)];
  await vi.advanceTimersByTimeAsync(6_000);

  expect(await Promise.all(outcomes)).toEqual(["unreadable", "none", "unreadable"]);
  expect(away.reads()).toBeLessThan(12);
  vi.useRealTimers();
});

test("clients that subscribe at the same time share a read, and later ones read again", async () => {
  const { cache, reads } = openCache(0);

  await Promise.all([cache.last("cache-a"), cache.last("cache-a"), cache.last("cache-b")]);
  await cache.last("cache-a");

  expect(reads()).toBe(3);
});

test("a client does not share a read that began before it subscribed", async () => {
  const { cache, reads } = openCache(0);

  const first = cache.last("cache-a");
  await Promise.resolve();
  await Promise.resolve();
  expect(reads()).toBe(1);
  const later = [cache.last("cache-a"), cache.last("cache-a")];
  await Promise.all([first, ...later]);

  expect(reads()).toBe(2);
});
