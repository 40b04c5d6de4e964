import type { History, StoredPublication } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { CacheEvents } from "./cache-events.ts";

const MINUTE_MS = 60_000;

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
  expect(await openCache(31 * MINUTE_MS).cache.last("cache-a")).toBeUndefined();
});

test("without an epoch there is an event, but no position to replay from", async () => {
  const unknown = new CacheEvents({
    history: { last: async () => ({ ok: false, reason: "no-jetstream", detail: "" }) } as unknown as History,
    subjects: new Subjects("test"),
    epoch: () => undefined,
  });

  expect(await unknown.last("cache-a")).toBeUndefined();
  expect(await openCache(0, null).cache.last("cache-a")).toMatchObject({ publication: {}, since: undefined });
});

test("clients that subscribe at once share a read, and later ones read again", async () => {
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
