import type { History, ReadOutcome, ReadRequest, StoredPublication } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { KeySequence } from "./core/key-sequence.ts";
import { LogRepair } from "./log-repair.ts";

const subjects = new Subjects("fanwire");
const target = { kind: "topic", topic: "a" } as const;
const filter = subjects.historyOf(subjects.live(target)) ?? "";
const publication = (sequence: number): StoredPublication => ({
  sequence,
  subject: filter,
  target,
  content: Buffer.from(String(sequence)),
  headers: undefined,
  time: new Date(0),
});

/** As a node of the history answers that knows it up to `lastSequence`. */
function nodeThatKnows(lastSequence: number): History["read"] {
  return async ({ after }: ReadRequest): Promise<ReadOutcome> => {
    const publications = Array.from({ length: lastSequence - after }, (_, at) => publication(after + at + 1));
    const history = { epoch: "e", firstSequence: 1, lastSequence, maxPerSubject: 1_000 };
    return { ok: true, publications, through: lastSequence, isEnd: true, history };
  };
}

test("the end of what a node knows that lags is not taken for the end of the history", async () => {
  const key = { key: subjects.live(target), isExact: true, sequence: new KeySequence(true) };
  key.sequence.settle(10);
  const suspects = new Set([key]);
  const history = { read: nodeThatKnows(12) };
  const repair = new LogRepair<typeof key>("e", history, subjects);

  const isRead = await repair.read(suspects, 15);
  history.read = nodeThatKnows(16);
  const isReadLater = await repair.read(suspects, 15);

  expect([isRead, isReadLater]).toEqual([false, true]);
  const [result] = repair.results([]);
  expect(result?.publications.map(({ sequence }) => sequence)).toEqual([11, 12, 13, 14, 15, 16]);
  expect(result?.through).toBe(16);
});
