import { setTimeout as delay } from "node:timers/promises";
import type { ReadOutcome, ReadRequest, StoredPublication } from "@fanwire/bus";
import { expect, onTestFinished, test, vi } from "vitest";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { ReplayCache, type ReplayFailure, ReplayLease, type ReplayPart } from "./replay-cache.ts";

const unavailable = { ok: false, reason: "unavailable", detail: "JetStream has no leader" } as const;
const mebibyte = 1_048_576;
const since = { epoch: "e", sequence: 0 };
const history = { epoch: "e", firstSequence: 1, lastSequence: 7, maxPerSubject: 1_000 };

test("a failed read is repeated", async () => {
  const answers: ReadOutcome[] = [
    unavailable,
    unavailable,
    { ok: true, publications: [], through: 7, isEnd: true, unread: 0, history },
  ];
  const read = async () => answers.shift() ?? unavailable;
  const { cache } = openCache({ mebibytes: 64, read });

  const part = await cache.read("filter", { epoch: "e", sequence: 3 }, 0, new ReplayLease());

  expect(part).toEqual({ publications: [], through: 7, unread: 0, history });
});

test("a slow client's replay is evicted for others after a moment, and its lease shows that", async () => {
  const { budget, cache } = openCache();
  const [slow, other] = [new ReplayLease(), new ReplayLease()];
  const held = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((at) => cache.read(`held ${at}`, since, 1, slow)));

  const wanted = await cache.read("wanted", since, 1, other);

  for (const part of [...held, wanted]) expect(part).toMatchObject({ through: 1 });
  expect([slow.isEvicted, other.isEvicted]).toEqual([true, false]);
  expect(budget.usedBytes).toBeLessThanOrEqual(24 * mebibyte);
});

test("a replay is shared by the leases that hold it, and makes room for others when all have ended", async () => {
  const { budget, cache } = openCache();
  const [one, two, later] = [new ReplayLease(), new ReplayLease(), new ReplayLease()];
  const readAll = (name: string, lease: ReplayLease) =>
    Promise.all([1, 2, 3, 4, 5, 6, 7].map((at) => cache.read(`${name} ${at}`, since, 1, lease)));
  await Promise.all([readAll("held", one), cache.read("held 1", since, 1, two)]);

  expect([one.isShared, two.isShared]).toEqual([true, true]);
  two.end();
  expect([one.isShared, two.isShared]).toEqual([false, false]);
  one.end();
  for (const part of await readAll("wanted", later)) expect(part).toMatchObject({ through: 1 });

  expect(later.isEvicted).toBe(false);
  expect(budget.usedBytes).toBeLessThanOrEqual(24 * mebibyte);
});

test("a replay makes room among parts that nobody uses, and is not evicted for them", async () => {
  const { budget, cache } = openCache();
  for (const at of [1, 2, 3, 4, 5, 6, 7]) {
    const ended = new ReplayLease();
    await cache.read(`unused ${at}`, since, 1, ended);
    ended.end();
  }
  const lease = new ReplayLease();

  const part = await cache.read("wanted", since, 5, lease);

  expect(sequencesOf(part)).toEqual([1, 2, 3, 4, 5]);
  expect([lease.isEvicted, budget.evictions]).toEqual([false, 0]);
});

test("reads under way leave room for each other, so that no client in a replay is evicted for a short one", async () => {
  const small = new Uint8Array(120);
  const readPages = async (request: ReadRequest): Promise<ReadOutcome> => {
    if (!request.filter.startsWith("short")) return read(request);
    await delay(1);
    const publications = Array.from({ length: 500 }, (_, at) => ({ ...publicationAt(at + 1), content: small }));
    return { ok: true, publications, through: 500, isEnd: true, unread: 0, history };
  };
  const { budget, cache } = openCache({ read: readPages });
  const slow = new ReplayLease();
  await Promise.all([1, 2, 3, 4, 5, 6, 7].map((at) => cache.read(`held ${at}`, since, 1, slow)));

  const replays = Array.from({ length: 20 }, async (_, at) => {
    const lease = new ReplayLease();
    const part = await cache.read(`short ${at}`, since, 500, lease);
    lease.end();
    return sequencesOf(part).length;
  });

  expect(await Promise.all(replays)).toEqual(replays.map(() => 500));
  expect([slow.isEvicted, budget.evictions]).toEqual([false, 0]);
});

test("a lost part of a client that needs too much by itself has another reason than one that others have evicted", async () => {
  const { cache } = openCache();
  const [large, small] = [new ReplayLease(), new ReplayLease()];

  await cache.read("small", since, 1, small);
  await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((at) => cache.read(`large ${at}`, since, 1, large)));
  await vi.waitUntil(() => large.isEvicted || small.isEvicted);

  expect([cache.lossOf(large), cache.lossOf(small)]).toEqual(["over-replay-limit", "evicted"]);
});

test("a client that missed little by many shared parts does not need too much by itself", async () => {
  const { cache } = openCache({ mebibytes: 900 });
  const [others, client, behind] = [new ReplayLease(), new ReplayLease(), new ReplayLease()];
  const resume = (sequence: number, upTo: number, lease: ReplayLease) =>
    Promise.all([1, 2, 3, 4, 5, 6].map((at) => cache.read(`filter ${at}`, { epoch: "e", sequence }, upTo, lease)));

  await Promise.all([resume(0, 30, others), resume(10, 30, behind), resume(29, 30, client)]);
  await resume(0, 40, others);

  const [ofOne = 0, ofOther = 0, ofBehind = 0] = [client, others, behind].map(({ bytes }) => bytes);
  expect(ofOne).toBeLessThan(6 * 4 * mebibyte);
  expect(ofBehind / ofOne).toBeCloseTo(20);
  expect(ofOther / ofOne).toBeCloseTo(40);
  expect([client, others].map((lease) => cache.lossOf(lease))).toEqual(["evicted", "over-replay-limit"]);
});

test("thousands of replays that wait for memory share a timer", async () => {
  const { budget, cache } = openCache();
  budget.open(() => {}).take(24 * mebibyte);
  const asked = vi.spyOn(budget, "freeBytes", "get");
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();

  for (let at = 0; at < 1_000; at++) void cache.read(`wanted ${at}`, since, 1, new ReplayLease());
  await vi.waitUntil(() => asked.mock.calls.length >= 1_000);

  expect(timers() - before).toBeLessThan(10);
});

test.each([
  ["content", read],
  ["headers", readLargeHeaders],
])("a replay with too much %s is refused and not buffered", async (_, readLarge) => {
  const { budget, cache } = openCache({ read: readLarge });

  expect(await cache.read("filter", since, 7, new ReplayLease())).toBe("over-replay-limit");
  expect(budget.usedBytes).toBe(0);
  expect(sequencesOf(await cache.read("filter", { epoch: "e", sequence: 5 }, 7, new ReplayLease()))).toEqual([6, 7]);
  expect(budget.usedBytes).toBeGreaterThan(2 * mebibyte);
});

test("a client that resumes during a read that fails receives none of the replay, and all of it from the next read", async () => {
  const stored = [1, 2, 3];
  let isAway = false;
  const read = vi.fn(async ({ after }: ReadRequest): Promise<ReadOutcome> => {
    if (isAway) return unavailable;
    const publications = stored.filter((sequence) => sequence > after).map(publicationAt);
    return { ok: true, publications, through: stored.length, isEnd: true, unread: 0, history };
  });
  const { cache } = openCache({ mebibytes: 64, read });
  const readAll = async () => sequencesOf(await cache.read("filter", since, 0, new ReplayLease()));
  await readAll();
  isAway = true;

  const first = readAll();
  await vi.waitFor(() => expect(read).toHaveBeenCalledTimes(2));
  const second = readAll();
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + 9_000);
  expect(await first).toBe("unreadable");
  stored.push(4);
  isAway = false;

  expect(await second).toBe("unreadable");
  expect(await readAll()).toEqual([1, 2, 3, 4]);
});

test("a client is judged by what it missed itself, not by what others missed with which it shares a read", async () => {
  const { cache } = openCache();
  const lease = new ReplayLease();
  const resume = async (sequence: number) =>
    sequencesOf(await cache.read("filter", { epoch: "e", sequence }, 9, lease));

  const outcomes = await Promise.all([resume(0), resume(3), resume(4), resume(8), resume(9)]);

  expect(outcomes).toEqual(["over-replay-limit", "over-replay-limit", [5, 6, 7, 8, 9], [9], []]);
});

test("clients that each missed little are never refused, however long others resume before them", async () => {
  const { budget, cache } = openCache();

  for (let upTo = 1; upTo <= 20; upTo++) {
    const lease = new ReplayLease();
    const part = await cache.read("filter", { epoch: "e", sequence: upTo - 1 }, upTo, lease);
    expect([sequencesOf(part), lease.isEvicted]).toEqual([[upTo], false]);
    lease.end();
  }

  expect(budget.usedBytes).toBeLessThanOrEqual(24 * mebibyte);
});

test("a client with a small replay is not refused because a larger one that it shares is evicted", async () => {
  const slowRead = vi.fn(async (request: ReadRequest) => {
    await delay(5);
    return read(request);
  });
  const { budget, cache } = openCache({ read: slowRead });
  const leases = [new ReplayLease(), new ReplayLease()] as const;

  const large = cache.read("filter", since, 5, leases[0]);
  const small = cache.read("filter", { epoch: "e", sequence: 4 }, 5, leases[1]);
  await vi.waitFor(() => expect(budget.usedBytes).toBeGreaterThan(6 * mebibyte), { interval: 1 });
  budget.evictFor(budget.open(() => {}));

  expect(sequencesOf(await large)).toBe("evicted");
  expect(sequencesOf(await small)).toEqual([5]);
  expect(leases[1].isEvicted).toBe(false);
});

test("clients that resume from the same positions share reads and lists", async () => {
  const counted = vi.fn(read);
  const { cache } = openCache({ mebibytes: 64, read: counted });
  const resume = async (sequence: number) => {
    const part = await cache.read("filter", { epoch: "e", sequence }, 3, new ReplayLease());
    return typeof part === "string" ? part : part.publications;
  };

  const lists = await Promise.all(Array.from({ length: 1_000 }, () => resume(0)));
  const later = await Promise.all(Array.from({ length: 1_000 }, (_, at) => resume(at % 2 === 0 ? 0 : 2)));

  expect(new Set([...lists, ...later]).size).toBe(3);
  expect(counted.mock.calls.length).toBeLessThan(10);
});

function openCache({ mebibytes = 24, read: readHistory = read } = {}) {
  const budget = new MemoryBudget(mebibytes * mebibyte);
  const cache = new ReplayCache({ read: readHistory }, budget);
  onTestFinished(() => cache.stop());
  return { budget, cache };
}

/** Returns publications of one mebibyte each, up to `upTo`. */
async function read({ after, upTo = 0 }: ReadRequest): Promise<ReadOutcome> {
  const isEnd = after + 1 >= upTo;
  return { ok: true, publications: [publicationAt(after + 1)], through: after + 1, isEnd, unread: 0, history };
}

/** Returns publications whose headers have one mebibyte each. */
async function readLargeHeaders(request: ReadRequest): Promise<ReadOutcome> {
  const headers = { bytes: mebibyte, get: () => "" };
  const publications = [{ ...publicationAt(request.after + 1), content: Buffer.from("x"), headers }];
  return { ...(await read(request)), publications } as ReadOutcome;
}

/** The sequences of a replay, or why it failed. */
function sequencesOf(part: ReplayPart | ReplayFailure): number[] | ReplayFailure {
  return typeof part === "string" ? part : part.publications.map(({ sequence }) => sequence);
}

/** Shared, because only its length matters. */
const content = new Uint8Array(mebibyte);

function publicationAt(sequence: number): StoredPublication {
  const target = { kind: "topic", topic: "t" } as const;
  return { sequence, subject: "s", target, content, headers: undefined, time: new Date(0) };
}
