import type { ReadOutcome, ReadRequest, StoredPublication } from "@fanwire/bus";
import { expect, onTestFinished, test } from "vitest";
import { MemoryBudget } from "../connections/memory-budget.ts";
import { ReplayCache, ReplayLease } from "./replay-cache.ts";

const unavailable = { ok: false, reason: "unavailable", detail: "JetStream has no leader" } as const;
const mebibyte = 1_048_576;
const history = { epoch: "e", firstSequence: 1, lastSequence: 7, maxPerSubject: 1_000 };

test("a failed read is repeated", async () => {
  const answers: ReadOutcome[] = [
    unavailable,
    unavailable,
    { ok: true, publications: [], through: 7, isEnd: true, history },
  ];
  const read = async () => answers.shift() ?? unavailable;
  const cache = new ReplayCache({ read }, new MemoryBudget(64 * mebibyte));
  onTestFinished(() => cache.stop());

  const part = await cache.read("filter", { epoch: "e", sequence: 3 }, 0, new ReplayLease());

  expect(part).toEqual({ publications: [], through: 7, history });
});

test("a slow client's replay is evicted for others after a moment, and its lease shows that", async () => {
  const budget = new MemoryBudget(16 * mebibyte);
  const cache = new ReplayCache({ read }, budget);
  onTestFinished(() => cache.stop());
  const [slow, other] = [new ReplayLease(), new ReplayLease()];
  const since = { epoch: "e", sequence: 0 };
  const held = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((at) => cache.read(`held ${at}`, since, 1, slow)));

  const wanted = await cache.read("wanted", since, 1, other);

  for (const part of [...held, wanted]) expect(part).toMatchObject({ through: 1 });
  expect([slow.isEvicted, other.isEvicted]).toEqual([true, false]);
  expect(budget.usedBytes).toBeLessThanOrEqual(16 * mebibyte);
});

test("a replay over the limit is refused and not buffered", async () => {
  const budget = new MemoryBudget(16 * mebibyte);
  const cache = new ReplayCache({ read }, budget);
  onTestFinished(() => cache.stop());

  const part = await cache.read("filter", { epoch: "e", sequence: 0 }, 7, new ReplayLease());

  expect(part).toBe("over-replay-limit");
  expect(budget.usedBytes).toBe(0);
});

/** Returns publications of one mebibyte each, up to `upTo`. */
async function read({ after, upTo = 0 }: ReadRequest): Promise<ReadOutcome> {
  const isEnd = after + 1 >= upTo;
  return { ok: true, publications: [publicationAt(after + 1)], through: after + 1, isEnd, history };
}

/** Shared, because only its length matters. */
const content = new Uint8Array(mebibyte);

function publicationAt(sequence: number): StoredPublication {
  const target = { kind: "topic", topic: "t" } as const;
  return { sequence, subject: "s", target, content, headers: undefined, time: new Date(0) };
}
