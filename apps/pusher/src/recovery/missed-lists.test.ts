import { setImmediate as nextTick } from "node:timers/promises";
import type { StoredPublication } from "@fanwire/bus";
import { matchesTopic, Subjects } from "@fanwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SharedSubscription } from "../hub/shared-subscription.ts";
import { TimeSlices } from "../pacing/time-slices.ts";
import { type Missed, MissedLists } from "./missed-lists.ts";
import { SplitReads } from "./shared-reads.ts";

const subjects = new Subjects();
const since = { epoch: "e", sequence: 0 };
const end = { unread: 0, history: { epoch: "e", firstSequence: 1, lastSequence: 9, maxPerSubject: 10 } };

/** The topics of the stored publications, in order. */
const topics = fc.array(fc.constantFrom("a.b", "a.c", "a.d.e", "b"), { maxLength: 30 });
const patterns = fc.uniqueArray(fc.constantFrom("a.b", "a.c", "a.*", "a.d.e", "a.d.*", "a.*.*", "a.none"));

test("a shared read is split, and merged in the order of the history and of the tags", async () => {
  await fc.assert(
    fc.asyncProperty(topics, patterns, async (stored, covered) => {
      const publications = stored.map((topic, at) => publication(at + 1, topic));
      const subscriptions = [">", ...covered].map((each) => subscribe(each));
      const { missedBy } = openLists();

      const missed = await missedBy(publications, subscriptions);

      const expected = publications.flatMap(({ sequence, target }) =>
        subscriptions
          .filter(({ pattern }) => target.kind === "topic" && matchesTopic(pattern ?? "", target.topic))
          .map(({ tag }) => [sequence, tag] as const)
          .sort(([, one], [, other]) => (one < other ? -1 : 1)),
      );
      expect(missed.map(({ received, subscription }) => [received.position?.sequence, subscription.tag])).toEqual(
        expected,
      );
    }),
  );
});

test("a topic that looks like a pattern receives only its publications", async () => {
  const publications = [publication(1, "a.b"), publication(2, "a.*")];
  const { missedBy } = openLists();

  const missed = await missedBy(publications, [subscribe(">"), subscribe("a.*", true)]);

  expect(missed.map(({ received }) => received.position?.sequence)).toEqual([1, 2, 2]);
});

test("clients that share a read share the list of all their subscriptions, also while it is merged", async () => {
  const publications = Array.from({ length: 5_000 }, (_, at) => publication(at + 1, `a.${at % 10}`));
  const subscriptions = [">", "a.*", "a.1", "a.2"].map((each) => subscribe(each));
  const { missedBy } = openLists();

  const lists = await Promise.all([1, 2, 3].map(() => missedBy(publications, subscriptions)));
  const other = await missedBy(publications, subscriptions.slice(1));

  expect(new Set(lists).size).toBe(1);
  expect(other).not.toBe(lists[0]);
  expect([lists[0]?.length, other.length]).toEqual([11_000, 6_000]);
});

test("a hundred thousand publications are merged over many ticks", async () => {
  const all = Array.from({ length: 100 }, (_, at) =>
    Array.from({ length: 1_000 }, (_, nth) => publication(nth * 100 + at + 1, `a.${at}`)),
  );
  const { lists } = openLists();
  const missed = all.map((publications, at) =>
    lists.of({ subscription: subscribe(`a.${at}`), publications, through: 100_000, ...end }, since, 100_000),
  );
  let ticks = 0;
  let isMerged = false;
  const counting = (async () => {
    for (; !isMerged; ticks++) await nextTick();
  })();

  const merged = await lists.merged(missed);
  isMerged = true;
  await counting;

  expect(merged.map(({ received }) => received.position?.sequence)).toEqual(merged.map((_, at) => at + 1));
  expect(ticks).toBeGreaterThan(10);
});

function openLists() {
  const splits = new SplitReads(subjects);
  const slices = new TimeSlices();
  const lists = new MissedLists(subjects, slices);
  /** Splits and merges a read of the first subscription, which covers the others. */
  const missedBy = async (
    publications: readonly StoredPublication[],
    [widest, ...covered]: SharedSubscription[],
  ): Promise<readonly Missed[]> => {
    const part = { publications, through: publications.length, ...end };
    const parts = await slices.carryOut(splits.of({ widest: widest as SharedSubscription, covered }, part));
    return lists.merged(parts.map((each) => lists.of(each, since, publications.length)));
  };
  return { lists, missedBy };
}

function subscribe(pattern: string, isExact = !/[*>]/.test(pattern)): SharedSubscription {
  const subject = isExact ? subjects.live({ kind: "topic", topic: pattern }) : subjects.liveTopics(pattern);
  return { tag: `tag of ${pattern}`, pattern, isExact, subject } as unknown as SharedSubscription;
}

function publication(sequence: number, topic: string): StoredPublication {
  const target = { kind: "topic", topic } as const;
  const subject = subjects.history(target);
  return { sequence, subject, target, content: new Uint8Array(), headers: undefined, time: new Date(0) };
}
