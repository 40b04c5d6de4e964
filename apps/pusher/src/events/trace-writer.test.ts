import type { SendOutcome } from "@fanwire/bus";
import type { TraceLease, TraceReport } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { TraceWriter } from "./trace-writer.ts";

const lease: TraceLease = { trace: "t", kinds: ["subscription"], leaseMs: 10_000 };
const subject = { connection: "k3v9x2ab.1", user: undefined, topics: ["a"] };

function write(options: Partial<TraceLease> = {}, { maxPayload = 1_048_576 } = {}) {
  const reports: TraceReport[] = [];
  const nats: { outcome: SendOutcome } = { outcome: "sent" };
  const counts = { sent: 0, skips: 0 };
  const bus = {
    maxPayloadBytes: () => maxPayload,
    send: (_: string, content: Uint8Array) => {
      if (nats.outcome === "sent") reports.push(JSON.parse(Buffer.from(content).toString()));
      return nats.outcome;
    },
  };
  const onSent = (events: number) => {
    counts.sent += events;
  };
  const onSkip = (events: number) => {
    counts.skips += events;
  };
  const parts = { bus, workerId: "k3v9x2ab", subject: "trace", onSent, onSkip };
  const writer = new TraceWriter(parts, { ...lease, ...options }, 0);
  const report = (text: string) => {
    if (writer.admits("subscription", subject, 1)) writer.add(JSON.stringify(text));
  };
  return { writer, report, reports, counts, nats };
}

test("events are reported together, and only when there are any", () => {
  const { writer, report, reports } = write();

  writer.flush();
  for (const text of ["1", "2"]) report(text);
  writer.flush();
  report("3");
  writer.flush();

  expect(reports).toEqual([
    { worker: "k3v9x2ab", number: 1, skipped: 0, events: ["1", "2"] },
    { worker: "k3v9x2ab", number: 2, skipped: 0, events: ["3"] },
  ]);
});

test("a trace receives a hundred events a second and the number of the others", () => {
  const { writer, report, reports, counts } = write();

  for (let at = 0; at < 250; at++) report("x");
  writer.flush();
  writer.refill();
  report("x");
  writer.flush();

  expect(reports.map(({ skipped, events }) => [skipped, events.length])).toEqual([
    [150, 100],
    [0, 1],
  ]);
  expect(counts).toEqual({ sent: 101, skips: 150 });
});

test("above the comparisons of a second nobody counts what is left out", () => {
  const { writer, reports } = write({ topic: "b" });

  for (let at = 0; at < 5_001; at++) writer.admits("subscription", subject, 1);
  writer.flush();

  expect(reports).toEqual([{ worker: "k3v9x2ab", number: 1, skipped: null, events: [] }]);
});

test("a trace receives at most 256 KiB a second, in reports that NATS takes", () => {
  const { writer, report, reports } = write({}, { maxPayload: 16_384 });
  const text = "x".repeat(5_000);

  for (let at = 0; at < 80; at++) report(text);
  report("x".repeat(20_000));
  writer.flush();

  const sizes = reports.map((each) => JSON.stringify(each).length);
  expect(Math.max(...sizes)).toBeLessThan(16_384);
  const shown = reports.reduce((sum, { events }) => sum + events.length, 0);
  expect(shown).toBe(Math.floor(262_144 / 5_003));
  expect(reports.reduce((sum, { skipped }) => sum + Number(skipped), 0)).toBe(81 - shown);
});

test("events that NATS does not take are counted as left out, also in the next report", () => {
  const { writer, report, reports, nats, counts } = write();

  nats.outcome = "unavailable";
  for (const text of ["1", "2"]) report(text);
  expect(counts).toEqual({ sent: 0, skips: 0 });
  writer.flush();
  expect(counts).toEqual({ sent: 0, skips: 2 });
  nats.outcome = "sent";
  report("3");
  writer.flush();

  expect(reports).toEqual([{ worker: "k3v9x2ab", number: 1, skipped: 2, events: ["3"] }]);
  expect(counts).toEqual({ sent: 1, skips: 2 });
});

test("other kinds are not counted, and a trace expires unless it is renewed", () => {
  const { writer } = write();

  expect(writer.admits("connection", subject, 0)).toBe(false);
  expect([writer.hasExpired(9_999), writer.hasExpired(10_000)]).toEqual([false, true]);
  writer.renew(lease, 10_000);
  expect(writer.hasExpired(19_999)).toBe(false);
});
