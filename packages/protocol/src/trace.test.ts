import { expect, test } from "vitest";
import { isTraced, traceLease, traceReport } from "./trace.ts";

const event = { connection: "k3v9x2ab.7", user: "anna", topics: ["orders.*", "private-a"] };

test("a trace without a filter shows every event", () => {
  expect(isTraced({}, { connection: "k3v9x2ab.7", user: undefined, topics: [] })).toBe(true);
});

test.each([
  [{ connection: "k3v9x2ab.7" }, true],
  [{ connection: "k3v9x2ab.70" }, false],
  [{ user: "anna" }, true],
  [{ user: "ann" }, false],
  [{ topic: "orders.7" }, true],
  [{ topic: ">" }, true],
  [{ topic: "orders" }, false],
  [{ topic: "private-a" }, true],
  [{ topic: "private-*" }, false],
  [{ user: "bob", topic: "orders.7" }, true],
  [{ user: "bob", connection: "k3v9x2ab.8", topic: "news" }, false],
])("the filter %j shows the event: %j", (filter, isShown) => {
  expect(isTraced(filter, event)).toBe(isShown);
});

test("a pattern shows no restricted topic that it does not name", () => {
  expect(isTraced({ topic: ">" }, { ...event, topics: ["private-a"] })).toBe(false);
  expect(isTraced({ topic: "private-a.>" }, { ...event, topics: ["private-a.b"] })).toBe(true);
});

test("an event without a user is not that of a filter without one", () => {
  expect(isTraced({ topic: "news" }, { ...event, user: undefined })).toBe(false);
});

test("a malformed lease or report is refused", () => {
  const lease = { trace: "a1", kinds: ["connection"], leaseMs: 1_000 };
  expect(traceLease.safeParse(lease).success).toBe(true);
  const leases = [
    { ...lease, trace: "a.>" },
    { ...lease, leaseMs: 10 ** 9 },
    { ...lease, topic: "a.>.b" },
  ];
  for (const wrong of leases) expect(traceLease.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false);
  const report = { worker: "k3v9x2ab", number: 1, skipped: null, events: [] };
  expect(traceReport.safeParse(report).success).toBe(true);
  const reports = [
    { ...report, number: 0 },
    { ...report, worker: "0" },
    { ...report, events: [["connection", {}]] },
  ];
  for (const wrong of reports) expect(traceReport.safeParse(wrong).success, JSON.stringify(wrong)).toBe(false);
});
