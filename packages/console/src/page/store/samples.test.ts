import { expect, test } from "vitest";
import type { Worker } from "../api/types.ts";
import { Samples, SHOWN_MS, sampleOf } from "./samples.ts";

const rates = { publicationsPerSecond: 1, deliveriesPerSecond: 2, bytesPerSecond: 3, acceptedPerSecond: 4 };
const described = { id: "a", host: "h", pid: 1, version: "0.1.0", uptimeSeconds: 1 };
const worker = (fields: Partial<Worker> = {}): Worker => ({ ...described, connections: 5, rates, ...fields });

test("figures of all workers are added, and of delays the longest counts", () => {
  const current = { position: "a-1", isCurrent: true };
  const late = { position: "a-1", isCurrent: false, lagMs: 70 };
  const workers = [
    worker({ eventLoopDelayMs: 7, memory: { residentBytes: 10, heapBytes: 1 }, history: current }),
    worker({ eventLoopDelayMs: 3, memory: { residentBytes: 20, heapBytes: 1 }, history: late }),
  ];
  const sums = { connections: 10, deliveries: 4, residentBytes: 30 };
  expect(sampleOf(1, { workers })).toMatchObject({ ...sums, eventLoopDelayMs: 7, lagMs: 70 });
});

test("a figure is unknown if a worker does not report it, and all are while a worker is missing or may be", () => {
  const some = sampleOf(1, { workers: [worker({ unsentBytes: 1 }), worker()] });
  expect(some).toMatchObject({ connections: 10, unsentBytes: null, eventLoopDelayMs: null, lagMs: null });
  expect(sampleOf(1, { workers: [worker()], missing: ["b"] }).connections).toBeNull();
  expect(sampleOf(1, { workers: [], complete: false }).connections).toBeNull();
  expect(sampleOf(1, undefined).connections).toBeNull();
});

test("a cluster without workers has no connections", () => {
  expect(sampleOf(1, { workers: [] })).toMatchObject({ connections: 0, eventLoopDelayMs: null });
});

test("samples are kept for the shown time, with a gap where there were none", () => {
  const samples = new Samples();
  const add = (at: number) => samples.add(sampleOf(at, { workers: [worker()] }));
  add(1_000);
  add(3_000);
  expect(add(60_000).map(({ at, connections }) => [at, connections])).toEqual([
    [1_000, 5],
    [3_000, 5],
    [3_001, null],
    [60_000, 5],
  ]);
  expect(add(60_000 + SHOWN_MS).map(({ connections }) => connections)).toEqual([null, 5]);
});
