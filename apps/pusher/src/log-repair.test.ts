import type { DurableLog, LoggedPublication, ReadOutcome, ReadRequest } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { KeySequence } from "./core/key-sequence.ts";
import { LogRepair } from "./log-repair.ts";

const subjects = new Subjects("fanwire");
const target = { kind: "topic", topic: "a" } as const;
const filter = subjects.logOf(subjects.live(target)) ?? "";
const publication = (sequence: number): LoggedPublication => ({
  sequence,
  subject: filter,
  target,
  content: Buffer.from(String(sequence)),
  headers: undefined,
  time: new Date(0),
});

/** As a node of the log answers that knows it up to `lastSequence`. */
function nodeThatKnows(lastSequence: number): DurableLog["read"] {
  return async ({ after }: ReadRequest): Promise<ReadOutcome> => {
    const publications = Array.from({ length: lastSequence - after }, (_, at) => publication(after + at + 1));
    const log = { epoch: "e", firstSequence: 1, lastSequence, maxPerSubject: 1_000 };
    return { ok: true, publications, through: lastSequence, isEnd: true, log };
  };
}

test("the end of what a node knows that lags is not taken for the end of the log", async () => {
  const key = { key: subjects.live(target), isExact: true, sequence: new KeySequence(true) };
  key.sequence.settle(10);
  const suspects = new Set([key]);
  const log = { read: nodeThatKnows(12) };
  const repair = new LogRepair<typeof key>("e", log, subjects);

  const isRead = await repair.read(suspects, 15);
  log.read = nodeThatKnows(16);
  const isReadLater = await repair.read(suspects, 15);

  expect([isRead, isReadLater]).toEqual([false, true]);
  const [result] = repair.results([]);
  expect(result?.publications.map(({ sequence }) => sequence)).toEqual([11, 12, 13, 14, 15, 16]);
  expect(result?.through).toBe(16);
});
