import { setImmediate } from "node:timers/promises";
import { createLog } from "@fanwire/service";
import type { JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { LimitRecord } from "./limit-record.ts";

/** A stream as it is described. The record uses nothing else of it. */
function described(limit: number, end: number, description: string, created = "now"): StreamInfo {
  const config = { name: "H", max_msgs_per_subject: limit, description };
  return { created, config, state: { last_seq: end } } as StreamInfo;
}

const recordOf = (streams: object) =>
  new LimitRecord({ streams } as unknown as JetStreamManager, createLog("test", "silent"));

test("a raised limit whose record is not saved counts up to the end of the history at the first look", () => {
  const record = recordOf({ info: () => Promise.reject(new Error("unreachable")) });
  const stale = "(kept per subject: 4)";

  expect(record.update(described(8, 100, stale)).lowerBefore).toEqual({ maxPerSubject: 4, through: 100 });
  expect(record.update(described(8, 200, stale)).lowerBefore).toEqual({ maxPerSubject: 4, through: 100 });
  // Lowered, and raised again.
  expect(record.update(described(4, 300, stale)).lowerBefore).toBeUndefined();
  expect(record.update(described(8, 400, stale)).lowerBefore).toEqual({ maxPerSubject: 4, through: 400 });
});

test("each change of the record is saved at once, and a failed attempt is not repeated for each look", async () => {
  const asked: unknown[] = [];
  const info = async (name: string) => asked.push(name) && Promise.reject(new Error("unreachable"));
  const record = recordOf({ info });

  for (const end of [1, 2, 3]) record.update(described(4, end, ""));
  expect(asked).toHaveLength(1);
  for (const end of [4, 5]) record.update(described(8, end, ""));
  expect(asked).toHaveLength(2);
});

/** A record of a stream that is described as `info` when the record is saved, and the updates of the stream. */
function savedRecord(info: StreamInfo) {
  const updates: unknown[] = [];
  const update = async (_: string, config: unknown) => updates.push(config) && info;
  return { record: recordOf({ info: async () => info, update }), updates };
}

test("the record of a stream is not saved in the one that replaces it", async () => {
  const recreated = described(8, 0, "", "later");
  const { record, updates } = savedRecord(recreated);

  record.update(described(4, 100, ""));
  record.update(recreated);
  await setImmediate();

  expect(updates).toEqual([{ description: "(kept per subject: 8)" }]);
});

test("a record that another service has saved meanwhile is not saved again", async () => {
  const { record, updates } = savedRecord(described(4, 100, "(kept per subject: 4)"));

  record.update(described(4, 100, ""));
  await setImmediate();

  expect(updates).toEqual([]);
});
