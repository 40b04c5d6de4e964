import { setImmediate } from "node:timers/promises";
import type { ReadOutcome, ReadRequest, StoredPublication } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { KeySequence } from "./core/key-sequence.ts";
import { LogComparison } from "./log-comparison.ts";

type Key = { readonly key: string; readonly isExact: boolean; readonly sequence: KeySequence };

const subjects = new Subjects();
const target = (at: number) => ({ kind: "topic", topic: String(at) }) as const;

/** Followed from after `floor` on. */
function keyOf(at: number, floor: number): Key {
  const key = { key: subjects.live(target(at)), isExact: true, sequence: new KeySequence(true) };
  key.sequence.settle(floor);
  return key;
}

/** A history of so many, the first of them for topic 1, the next for topic 2 and so on; read by pages of `pageSize`. */
function aHistory(lastSequence: number, pageSize = 1_000) {
  const reads: ReadRequest[] = [];
  const publications = Array.from({ length: lastSequence }, (_, at): StoredPublication => {
    const sequence = at + 1;
    const subject = subjects.history(target(sequence));
    return {
      sequence,
      subject,
      target: target(sequence),
      content: Buffer.alloc(0),
      headers: undefined,
      time: new Date(0),
    };
  });
  const history = { epoch: "e", firstSequence: 1, lastSequence, maxPerSubject: 1_000 };
  const read = async (request: ReadRequest): Promise<ReadOutcome> => {
    reads.push(request);
    await setImmediate();
    const { filter, after } = request;
    const rest = publications.filter(
      ({ sequence, subject }) => sequence > after && [subject, subjects.allHistory].includes(filter),
    );
    const page = rest.slice(0, pageSize);
    const isEnd = page.length === rest.length;
    const through = isEnd ? history.lastSequence : (page.at(-1)?.sequence ?? after);
    return { ok: true, publications: page, through, isEnd, history };
  };
  return { read, reads, history };
}

function comparisonOf(keys: Map<string, Key>, history: { read(request: ReadRequest): Promise<ReadOutcome> }) {
  return new LogComparison<Key>({
    history,
    subjects,
    keys: () => keys.values(),
    keysOf: (stored) => [keys.get(subjects.live(stored))].flatMap((key) => key ?? []),
  });
}

const followed = (...keys: Key[]) => new Map(keys.map((key) => [key.key, key]));
const upTo = (sequence: number) => ({ epoch: "e", upTo: sequence, isValid: () => true });

test("the news is read once for all keys, page by page, and settles them", async () => {
  const keys = Array.from({ length: 100 }, (_, at) => keyOf(1_000 + at, 100));
  const history = aHistory(350, 100);

  const missing = await comparisonOf(followed(...keys), history).run(upTo(350));

  expect(missing.size).toBe(0);
  expect(history.reads.map(({ after }) => after)).toEqual([100, 200, 300]);
  expect(history.reads.every(({ filter, withoutContent }) => filter === subjects.allHistory && withoutContent)).toBe(
    true,
  );
  expect(new Set(keys.map(({ sequence }) => sequence.floor))).toEqual(new Set([350]));
});

test("where there is more news than few keys are worth the history is asked for each", async () => {
  const keys = followed(keyOf(2_000, 100), keyOf(2_001, 700));
  const history = aHistory(900);

  await comparisonOf(keys, history).run(upTo(900));

  const asked = history.reads.map(({ filter, after }) => [filter, after]);
  expect(asked).toEqual([
    [subjects.history(target(2_000)), 100],
    [subjects.history(target(2_001)), 700],
  ]);
});

test("patterns that bring much of the news are not read one by one", async () => {
  const keys = Array.from({ length: 10 }, (_, at): Key => {
    const sequence = new KeySequence(false);
    for (let each = 1; each <= 300; each++) sequence.delivered(each, "any");
    return { key: subjects.liveTopics(`${at}.*`), isExact: false, sequence };
  });
  const history = aHistory(300);

  await comparisonOf(followed(...keys), history).run(upTo(300));

  expect(history.reads.map(({ filter }) => filter)).toEqual([subjects.allHistory]);
  expect(keys.map(({ sequence }) => sequence.unsettled)).toEqual(keys.map(() => 0));
});

test("a key is suspect when it misses something at a second look too, and stays where it was", async () => {
  const [late, lost, other] = [keyOf(8, 5), keyOf(9, 5), keyOf(100, 5)];
  const history = aHistory(10);

  const running = comparisonOf(followed(late, lost, other), history).run(upTo(10));
  while (history.reads.length === 0) await setImmediate();
  late.sequence.delivered(8, "late");
  const missing = await running;

  expect([...missing]).toEqual([lost]);
  expect([late, lost, other].map(({ sequence }) => sequence.floor)).toEqual([10, 5, 10]);
});

test("what is followed while the history is read misses nothing older, and learns nothing from it", async () => {
  const keys = followed(keyOf(100, 5));
  const begun = keyOf(8, 12);
  const unknown = { ...keyOf(9, 0), sequence: new KeySequence(true) };
  const history = aHistory(10);

  const running = comparisonOf(keys, history).run(upTo(10));
  for (const key of [begun, unknown]) keys.set(key.key, key);
  const missing = await running;

  expect(missing.size).toBe(0);
  expect([begun, unknown].map(({ sequence }) => sequence.floor)).toEqual([12, undefined]);
});

test.each([
  ["as far as it knows by a node that lags", { lastSequence: 9 }, 9],
  ["not at all by another history", { epoch: "other" }, 5],
])("what is followed is settled %s", async (_, difference, floor) => {
  const key = keyOf(100, 5);
  const history = aHistory(10);
  Object.assign(history.history, difference);

  await comparisonOf(followed(key), history).run(upTo(10));

  expect(key.sequence.floor).toBe(floor);
});

test("nothing is settled, and nothing suspect, once something is held or the history was made anew", async () => {
  const [lost, other] = [keyOf(9, 5), keyOf(100, 5)];
  const history = aHistory(10);

  const missing = await comparisonOf(followed(lost, other), history).run({
    ...upTo(10),
    isValid: () => history.reads.length === 0,
  });

  expect(missing.size).toBe(0);
  expect([lost, other].map(({ sequence }) => sequence.floor)).toEqual([5, 5]);
});

const crowd = (floor: number) => Array.from({ length: 50 }, (_, at) => keyOf(1_000 + at, floor));

test("of many suspects those that lack nothing are settled by one reading for all", async () => {
  const innocent = crowd(100);
  const [lost, alsoLost] = [keyOf(105, 100), keyOf(290, 100)];
  const unknown = { ...keyOf(9, 0), sequence: new KeySequence(true) };
  const suspects = [lost, ...innocent, unknown, alsoLost];
  const history = aHistory(300, 100);

  const lacking = await comparisonOf(followed(...suspects), history).lacking(suspects, upTo(300));

  expect(lacking).toEqual([lost, unknown, alsoLost]);
  expect(history.reads.map(({ after }) => after)).toEqual([100, 200]);
  expect(new Set(innocent.map(({ sequence }) => sequence.floor))).toEqual(new Set([300]));
  expect([lost, alsoLost].map(({ sequence }) => sequence.floor)).toEqual([100, 100]);
});

test.each([
  ["has dropped what came after where they stand", { firstSequence: 102 }],
  ["is described by a node that lags", { lastSequence: 299 }],
  ["is another", { epoch: "other" }],
])("all remain suspect when the history %s", async (_, difference) => {
  const suspects = crowd(100);
  const history = aHistory(300);
  Object.assign(history.history, difference);

  const lacking = await comparisonOf(followed(...suspects), history).lacking(suspects, upTo(300));

  expect(lacking).toEqual(suspects);
  expect(new Set(suspects.map(({ sequence }) => sequence.floor))).toEqual(new Set([100]));
});

test("few suspects, or more news than they are worth, are not read about", async () => {
  const [few, many] = [crowd(100).slice(0, 16), crowd(100)];
  const history = aHistory(2_000);

  expect(await comparisonOf(followed(...few), history).lacking(few, upTo(300))).toEqual(few);
  expect(await comparisonOf(followed(...many), history).lacking(many, upTo(2_000))).toEqual(many);

  expect(history.reads).toEqual([]);
});

test("an empty history lacks nothing", async () => {
  const suspects = crowd(0);
  expect(await comparisonOf(followed(...suspects), aHistory(0)).lacking(suspects, upTo(0))).toEqual([]);
});
