import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { capacityFor, type Load, limits, measured, reached } from "./capacity.ts";
import { capacityTable, examples } from "./capacity-table.ts";

const quiet: Load = { connections: 1_000_000, topics: 1, topicsEach: 1, publicationsPerSecond: 0.1, audience: 1 };

test("idle connections need file descriptors only, and three NATS nodes", () => {
  const { workers, workersFor, natsNodes, natsFor } = capacityFor(quiet);

  expect({ workers, workersFor }).toEqual({ workers: 20, workersFor: "file descriptors" });
  expect({ natsNodes, natsFor }).toEqual({ natsNodes: 3, natsFor: "availability" });
});

test("deliveries need as many cores as they cost at the allowed utilisation", () => {
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

test("each worker with a subscriber of a topic has one NATS subscription", () => {
  expect(reached(1, 20)).toBeCloseTo(1);
  expect(reached(1_000_000, 20)).toBeCloseTo(20);

  const users = capacityFor({ ...quiet, topics: 1_000_000 });

  expect(users.subscriptionsPerWorker).toBeCloseTo(50_000);
});

test("subscriptions beyond the memory of a NATS node need a split", () => {
  const { natsNodes, natsFor } = capacityFor({ ...quiet, connections: 100_000_000, topics: 100_000_000 });

  expect({ natsNodes, natsFor }).toEqual({ natsNodes: undefined, natsFor: "memory for interest" });
});

test("docs/scaling.md has the current table of the calculator", () => {
  const text = readFileSync(new URL("../../docs/scaling.md", import.meta.url), "utf8");

  expect(text).toContain(capacityTable(examples));
});
