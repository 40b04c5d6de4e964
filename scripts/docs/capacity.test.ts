import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { capacityFor, type Load, limits, measured, reached } from "./capacity.ts";
import { capacityTable, examples } from "./capacity-table.ts";

const quiet: Load = { connections: 1_000_000, topics: 1, topicsEach: 1, publicationsPerSecond: 0.1, audience: 1 };

test("idle connections ask for file descriptors alone, and for three NATS nodes", () => {
  const { workers, workersFor, natsNodes, natsFor } = capacityFor(quiet);

  expect({ workers, workersFor }).toEqual({ workers: 20, workersFor: "file descriptors" });
  expect({ natsNodes, natsFor }).toEqual({ natsNodes: 3, natsFor: "availability" });
});

test("deliveries ask for as many cores as they cost, at the utilisation allowed", () => {
  const { workers, workersFor, deliveriesPerSecond } = capacityFor({
    ...quiet,
    publicationsPerSecond: 10,
    audience: 1_000_000,
  });

  const cores = (10_000_000 * measured.microsPerDelivery) / 1_000_000 / limits.utilisation;
  expect(deliveriesPerSecond).toBe(10_000_000);
  expect(workersFor).toBe("CPU");
  expect(workers).toBeGreaterThanOrEqual(cores);
  expect(workers).toBeLessThan(cores * 1.01);
});

test("a topic is subscribed to once by each worker that has a follower of it", () => {
  expect(reached(1, 20)).toBeCloseTo(1);
  expect(reached(1_000_000, 20)).toBeCloseTo(20);

  const users = capacityFor({ ...quiet, topics: 1_000_000 });

  expect(users.subscriptionsPerWorker).toBeCloseTo(50_000);
});

test("interest that no node has memory for asks for a split", () => {
  const { natsNodes, natsFor } = capacityFor({ ...quiet, connections: 100_000_000, topics: 100_000_000 });

  expect({ natsNodes, natsFor }).toEqual({ natsNodes: undefined, natsFor: "memory for interest" });
});

test("docs/scaling.md shows what the calculator says", () => {
  const text = readFileSync(new URL("../../docs/scaling.md", import.meta.url), "utf8");

  expect(text).toContain(capacityTable(examples));
});
