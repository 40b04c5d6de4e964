import fc from "fast-check";
import { expect, test } from "vitest";
import { parseClusterEvent, parseSnapshotPage, parseSnapshotRequest, parseWorkerReport } from "./events.ts";

const event = { id: "a-1", name: "topic_occupied", time: "2026-01-01T00:00:00.000Z", topic: "t" } as const;

test("a report and a page keep their facts", () => {
  const facts = [
    ["occupied", "t"],
    ["joined", "t", "u"],
    ["count", "t", 3],
    ["event", 1, event],
  ];
  const report = { worker: "abcd1234", number: 7, facts };

  expect(parseWorkerReport(JSON.stringify(report))).toEqual(report);
  expect(parseWorkerReport(JSON.stringify({ ...report, ended: true }))).toEqual({ ...report, ended: true });
  expect(parseSnapshotPage(JSON.stringify({ ...report, id: "x", next: 4 }))).toEqual({ ...report, id: "x", next: 4 });
  expect(parseSnapshotRequest('{"id":"x","from":4}')).toEqual({ id: "x", from: 4 });
  expect(parseSnapshotRequest("{}")).toEqual({});
  expect(parseClusterEvent(JSON.stringify(event))).toEqual(event);
});

test("an event with a nested member is refused, because it may have no JSON text", () => {
  const nested = "[".repeat(12_000) + "]".repeat(12_000);
  const text = JSON.stringify({ ...event, extra: 1 });

  expect(parseClusterEvent(text)).toEqual({ ...event, extra: 1 });
  expect(parseClusterEvent(text.replace('"extra":1', `"extra":${nested}`))).toBeUndefined();
});

test("facts with names that no subject can have are dropped", () => {
  const long = "x".repeat(256);
  const bad = [
    ["occupied", long],
    ["occupied", ""],
    ["occupied", "*"],
    ["joined", "t", long],
    ["joined", "t"],
    ["count", "t", -1],
    ["event", 1, { ...event, topic: long }],
    ["event", 1, { ...event, connection: "x.>" }],
    ["event", 1, { ...event, name: "other" }],
    ["other", "t"],
    null,
    7,
  ];
  const report = { worker: "abcd1234", number: 7, facts: [...bad, ["vacated", "t"]] };

  expect(parseWorkerReport(JSON.stringify(report))?.facts).toEqual([["vacated", "t"]]);
});

test("any text can be parsed", () => {
  const member = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom("abcd1234", 7, [["occupied", "t"]], ["event"]),
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc
      .record({ worker: member, number: member, facts: member, id: member, next: member })
      .map((v) => JSON.stringify(v)),
  );

  fc.assert(
    fc.property(text, (each) => {
      for (const parse of [parseWorkerReport, parseSnapshotPage, parseSnapshotRequest, parseClusterEvent]) parse(each);
    }),
    { numRuns: 10_000 },
  );
});
