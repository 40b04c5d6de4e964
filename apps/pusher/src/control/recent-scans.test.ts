import { expect, test, vi } from "vitest";
import { JobQueue, TooManyJobsError } from "../pacing/job-queue.ts";
import { RecentScans } from "./recent-scans.ts";

/** A scan that keeps the event loop busy, and counts its runs. */
function startScan(busyMs: number) {
  let runs = 0;
  return {
    runs: () => runs,
    *scan(): Generator<unknown, number> {
      const endsAt = performance.now() + busyMs;
      while (performance.now() < endsAt) yield;
      runs++;
      return runs;
    },
  };
}

test("a scan that takes long is used again for a while, one that takes no time is not", async () => {
  const scans = new RecentScans<number>(new JobQueue());
  const [long, short] = [startScan(20), startScan(0)];
  const get = () => Promise.all([scans.get("long", () => long.scan()), scans.get("short", () => short.scan())]);

  expect(await get()).toEqual([1, 1]);
  await vi.waitUntil(async () => (await get())[1] > 1);

  expect(long.runs()).toBe(1);
});

test("requests for the same share a scan that runs, others have their own", async () => {
  const scans = new RecentScans<number>(new JobQueue());
  const scan = startScan(5);

  const results = ["a", "a", "b", "a"].map((key) => scans.get(key, () => scan.scan()));

  expect(await Promise.all(results)).toEqual([1, 1, 2, 1]);
});

test("a scan that fails is repeated", async () => {
  const scans = new RecentScans<number>(new JobQueue());
  // biome-ignore lint/correctness/useYield: it fails before its first step.
  const failing = function* (): Generator<unknown, number> {
    throw new Error("failed");
  };

  await expect(scans.get("a", failing)).rejects.toThrow("failed");
  await vi.waitUntil(async () => (await scans.get("a", () => startScan(0).scan()).catch(() => 0)) === 1);
});

test("jobs beyond the maximum are refused and counted, and later ones are carried out", async () => {
  const jobs = new JobQueue();
  const all = Array.from({ length: 210 }, () => jobs.run(startScan(0).scan()));

  const outcomes = await Promise.allSettled(all);

  const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? outcome.reason : []));
  expect(refused).toHaveLength(10);
  for (const error of refused) expect(error).toBeInstanceOf(TooManyJobsError);
  expect(jobs.refused).toBe(10);
  expect((await jobs.run(startScan(0).scan())).result).toBe(1);
});
