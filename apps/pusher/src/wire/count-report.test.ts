import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeCountReport, parseCountReport } from "./count-report.ts";

test("a report survives its encoding", () => {
  const report = {
    worker: "a1234567",
    number: 3,
    counts: [["topic:a", 2] as const],
    asks: ["user:b"],
    isLast: false,
  };

  expect(parseCountReport(encodeCountReport(report))).toEqual(report);
});

test("any message of others is read as legal counts or not at all", () => {
  const odd = fc.jsonValue({ maxDepth: 1 });
  const report = fc.record({ worker: fc.constantFrom("a1234567", "1", ""), counts: odd, asks: odd, isLast: odd });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        report.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (text) => {
        const parsed = parseCountReport(text);
        for (const [key, count] of parsed?.counts ?? []) {
          expect(typeof key).toBe("string");
          expect(Number.isSafeInteger(count) && count >= 0).toBe(true);
        }
        expect(parsed?.asks.every((key) => typeof key === "string") ?? true).toBe(true);
      },
    ),
  );
  const mixed = { worker: "a1234567", counts: [["a", 1], ["b", -1], ["c"], ["d", 1.5], [1, 1]], asks: ["x", 1] };
  expect(parseCountReport(JSON.stringify(mixed))).toEqual({
    worker: "a1234567",
    number: undefined,
    counts: [["a", 1]],
    asks: ["x"],
    isLast: false,
  });
});
