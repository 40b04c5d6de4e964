import { expect, test } from "vitest";
import { usePublisher } from "../testing.ts";

const { worker, startAnother, url } = usePublisher();

test("the cluster is described by all workers, sorted by id", async () => {
  const response = await fetch(url("/v1/cluster"));

  expect(response.status).toBe(200);
  const workers = [{ ...worker.describe(), id: "aworker2" }, worker.describe()];
  expect(await response.json()).toEqual({ workers });
});

test("a cluster without workers is empty without a long wait", async () => {
  await using lonely = await startAnother({ FANWIRE_PREFIX: "lonely" });

  const startedAt = performance.now();
  expect(await (await fetch(url("/v1/cluster", lonely))).json()).toEqual({ workers: [] });
  expect(performance.now() - startedAt).toBeLessThan(1_500);
});
