import { expect, test } from "vitest";
import { testIo } from "../testing.ts";
import { type ClusterView, drawScreen } from "./cluster-screen.ts";

const at = "2026-11-30T03:10:01.000Z";
const url = "http://127.0.0.1:4237/";
const rates = { publicationsPerSecond: 12.4, deliveriesPerSecond: 1_240, bytesPerSecond: 0, acceptedPerSecond: 3 };
const described = { id: "k3v9q0xa", host: "one", pid: 1, version: "0.1.0", uptimeSeconds: 3_700 };
const worker = { ...described, connections: 12_345, rates };

function draw(view: Omit<ClusterView, "at">, columns = 200): string {
  return drawScreen(testIo({}, { columns }).io, { at, url, ...view });
}

test("a worker of an earlier version shows – for what it does not know, and never 0", () => {
  const [, , , , line = ""] = draw({ cluster: { workers: [worker] } }).split("\n");

  expect(line.replaceAll(/ {2,}/g, " | ")).toBe(
    "k3v9q0xa | one | 0.1.0 | 1h 1m | 12,345 | – | – | 12 | 1,240 | – | – | – | – | –",
  );
});

test("workers that do not answer are named, and the totals show that they lack them", () => {
  const text = draw({ cluster: { workers: [worker], missing: ["dead0001"] } });

  expect(text).toContain("12,345 connections");
  expect(text).toContain("without those that do not answer");
  expect(text).toContain("1 known workers do not answer: dead0001");
});

test("a publisher that does not know all workers yet is not taken for a whole cluster", () => {
  expect(draw({ cluster: { workers: [], complete: false } })).toContain("More workers may run");
  expect(draw({ cluster: { workers: [worker] } })).not.toContain("More workers may run");
});

test("an absent history, a replica that is behind and an uncertain order are shown", () => {
  const history = {
    messages: 7,
    bytes: 2_048,
    maxBytes: 1_073_741_824,
    maxAgeSeconds: 86_400,
    firstPosition: "e-1",
    lastPosition: "e-7",
    leader: "n1",
    replicas: [{ name: "n2", isCurrent: false, lag: 9 }],
  };

  expect(draw({ cluster: { workers: [], history: null } })).toContain("History: none, or it did not answer");
  expect(draw({ cluster: { workers: [], history } })).toContain(
    "7 publications, 2.0 KiB of 1.0 GiB, last e-7, leader n1, behind: n2",
  );
  expect(draw({ topics: { topics: [{ topic: "a", connections: 1 }], exact: false } })).toContain("order not certain");
});

test("control characters of names do not reach the terminal, and lines are cut to its width", () => {
  const text = draw({ topics: { topics: [{ topic: `\u001B[2J${"x".repeat(100)}`, connections: 1 }] } }, 40);

  expect(text).not.toContain("\u001B[2J");
  for (const line of text.split("\n").slice(3)) expect(line.length, line).toBeLessThanOrEqual(40);
});
