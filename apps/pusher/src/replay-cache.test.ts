import type { ReadOutcome, ReadRequest, StoredPublication } from "@fanwire/bus";
import { expect, onTestFinished, test } from "vitest";
import { ReplayCache, ReplayLease } from "./replay-cache.ts";

const unavailable = { ok: false, reason: "unavailable", detail: "JetStream has no leader" } as const;
const mebibyte = 1_048_576;
const history = { epoch: "e", firstSequence: 1, lastSequence: 7, maxPerSubject: 1_000 };

test("what cannot be read for a moment is asked for again", async () => {
  const answers: ReadOutcome[] = [
    unavailable,
    unavailable,
    { ok: true, publications: [], through: 7, isEnd: true, history },
  ];
  const read = async () => answers.shift() ?? unavailable;
  const cache = new ReplayCache({ read });
  onTestFinished(() => cache.stop());

  const part = await cache.read("filter", { epoch: "e", sequence: 3 }, 0, new ReplayLease());

  expect(part).toEqual({ publications: [], through: 7, history });
});

test("all replays together hold so much and no more: who begins waits until others have theirs", async () => {
  const read = async ({ after }: ReadRequest): Promise<ReadOutcome> => {
    const publications = [1, 2, 3, 4].map((at) => publicationAt(after + at));
    return { ok: true, publications, through: after + 4, isEnd: true, history };
  };
  const cache = new ReplayCache({ read });
  onTestFinished(() => cache.stop());
  const since = { epoch: "e", sequence: 0 };
  const [deaf, other] = [new ReplayLease(), new ReplayLease()];
  const readMany = (name: string, count: number, lease: ReplayLease) =>
    Promise.all(Array.from({ length: count }, (_, at) => cache.read(`${name} ${at}`, since, 0, lease)));

  await readMany("held", 30, deaf);
  const waiting = readMany("wanted", 20, other);
  await expect.poll(() => cache.heldBytes).toBeGreaterThan(128 * mebibyte);
  const heldWhileWaiting = cache.heldBytes;
  deaf.end();
  const wanted = await waiting;

  expect(heldWhileWaiting).toBeLessThan(140 * mebibyte);
  for (const part of wanted) expect(part).toMatchObject({ publications: { length: 4 } });
  expect(cache.heldBytes).toBeLessThan(140 * mebibyte);
});

/** One content for all: it is the count of its bytes that matters. */
const content = new Uint8Array(mebibyte);

function publicationAt(sequence: number): StoredPublication {
  const target = { kind: "topic", topic: "t" } as const;
  return { sequence, subject: "s", target, content, headers: undefined, time: new Date(0) };
}
