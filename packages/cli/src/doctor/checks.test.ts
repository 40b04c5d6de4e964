import { expect, test } from "vitest";
import { testIo } from "../testing.ts";
import { checkClock } from "./addresses.ts";
import { checkNode, checkOpenFiles } from "./machine.ts";
import { checkMaxPayload, checkVersion } from "./nats.ts";
import { checkSettings } from "./settings.ts";

const limits = (hard: string) => `Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   ${hard}   files\n`;

test.each([
  ["20.18.0", "2.36", "problem"],
  ["20.19.0", "2.36", "ok"],
  ["24.0.0", "2.36", "problem"],
  ["24.0.0", "2.41", "ok"],
  ["24.0.0", undefined, "ok"],
  ["23.11.0", "2.41", "problem"],
  ["26.0.0", "2.41", "problem"],
])("Node %s with glibc %s: %s", (version, glibc, status) => {
  expect(checkNode(version, glibc).status).toBe(status);
});

test.each([
  [limits("1048576"), undefined, "ok"],
  [limits("unlimited"), undefined, "ok"],
  [limits("20000"), undefined, "warning"],
  [limits("20000"), "10000", "ok"],
  [undefined, undefined, "skipped"],
])("open files %j for PUSHER_MAX_CONNECTIONS=%s: %s", (text, connections, status) => {
  expect(checkOpenFiles(text, connections).status).toBe(status);
});

test.each([
  ["2.8.4", false, "problem"],
  ["2.9.10", false, "ok"],
  ["2.9.10", true, "warning"],
  ["2.10.0", true, "ok"],
  ["3.0.0", true, "ok"],
])("nats-server %s, in a cluster %s: %s", (version, isClustered, status) => {
  expect(checkVersion(version, isClustered).status).toBe(status);
});

test("a max_payload below the items of Workerman queues is a warning", () => {
  expect(checkMaxPayload(1_048_576).status).toBe("warning");
  expect(checkMaxPayload(11_534_336).status).toBe("ok");
});

test("clocks that differ by more than three seconds are a problem, whole seconds of the header are not", () => {
  const now = Date.parse("2026-11-30T03:00:00.900Z");

  expect(checkClock("Mon, 30 Nov 2026 03:00:00 GMT", now).status).toBe("ok");
  expect(checkClock("Mon, 30 Nov 2026 03:00:10 GMT", now).status).toBe("problem");
  expect(checkClock("Mon, 30 Nov 2026 02:59:50 GMT", now).status).toBe("problem");
  expect(checkClock(null, now).status).toBe("skipped");
});

test("settings: every wrong and every unknown variable is reported with what to do", () => {
  const { findings, bus } = checkSettings(
    testIo({ FANWIRE_HISTORY_REPLICAS: "six", PUSHER_TOKEN_SECRT: "x", PUSHER_TOKEN_SECRET: "short" }).io,
  );

  expect(bus).toBeUndefined();
  const problems = findings.filter(({ status }) => status === "problem").map(({ message }) => message);
  expect(problems.join("\n")).toMatch(/FANWIRE_HISTORY_REPLICAS.*must be a whole number/s);
  expect(problems.join("\n")).toContain("PUSHER_TOKEN_SECRET: must be at least 32 bytes");
  expect(findings.map(({ advice }) => advice)).toContain("The nearest known name is PUSHER_TOKEN_SECRET.");
});
