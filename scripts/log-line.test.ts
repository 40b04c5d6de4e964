import { expect, test } from "vitest";
import { formatLogLine } from "./log-line.ts";

const plain = { nameWidth: 9, colours: false };

function line(fields: Record<string, unknown>): string {
  return JSON.stringify({ time: new Date(2026, 0, 2, 3, 4, 5, 67).toISOString(), service: "pusher", ...fields });
}

test("a log line reads: time, service, level, message, fields", () => {
  const text = formatLogLine(
    "pusher",
    line({ level: "info", msg: "listening", port: 4236, host: "::", note: "a b" }),
    plain,
  );

  expect(text).toBe('03:04:05.067  pusher     info   listening  port=4236  host=::  note="a b"');
});

test("pino's numbers become the names of levels", () => {
  expect(formatLogLine("pusher", line({ level: 40, msg: "slow" }), plain)).toContain("warn   slow");
});

test("an error shows its stack below the line", () => {
  const text = formatLogLine(
    "pusher",
    line({ level: "error", msg: "broken", err: { stack: "Error: x\n  at y" } }),
    plain,
  );

  expect(text).toMatch(/error {2}broken\n {4}Error: x\n {4} {2}at y$/);
});

test.each(["Error: listen EADDRINUSE", "{not JSON", "{}x"])(
  "a line that is not a log entry stays as it is: %s",
  (text) => {
    expect(formatLogLine("pusher", text, plain)).toBe(`pusher     ${text}`);
  },
);

test("warnings and errors are coloured, when colours are wanted", () => {
  expect(formatLogLine("pusher", line({ level: "warn", msg: "x" }), { ...plain, colours: true })).toContain(
    "\u001b[33mwarn",
  );
  expect(formatLogLine("pusher", line({ level: "error", msg: "x" }), { ...plain, colours: true })).toContain(
    "\u001b[31merror",
  );
});
