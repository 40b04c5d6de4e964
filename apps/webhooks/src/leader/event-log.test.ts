import { type Journal, JournalError } from "@fanwire/bus";
import { Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { EventLog } from "./event-log.ts";

test("when an event cannot be stored, nobody waits for it or for later ones", async () => {
  const refusal = new JournalError("wrong last sequence");
  const failures: Error[] = [];
  const log = new EventLog(4, {
    journal: { append: () => Promise.reject(refusal) } as unknown as Journal, // nothing is read
    subjects: new Subjects(),
    onStored: () => {},
    onFailed: (error) => failures.push(error),
  });
  for (const id of ["a-1", "a-2"]) log.add({ id, name: "topic_occupied", time: "2026-01-01T00:00:00Z", topic: "t" });

  await expect(log.stored(5)).rejects.toBe(refusal);
  await expect(log.stored(6)).rejects.toBe(refusal);
  await expect(log.stored(4)).resolves.toBeUndefined();
  expect([failures, log.isFull]).toEqual([[refusal], true]);
});
