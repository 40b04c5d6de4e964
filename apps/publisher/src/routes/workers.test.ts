import { expect, test } from "vitest";
import { usePublisher } from "../testing.ts";

const { worker, startAnother, url } = usePublisher();
const node = { name: expect.any(String), version: expect.any(String) };

test("the cluster is described by all workers and services, sorted, and by the NATS node", async () => {
  const response = await fetch(url("/v1/cluster"));

  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({
    workers: [{ ...worker.describe(), id: "aworker2" }, worker.describe()],
    services: [
      {
        kind: "publisher",
        id: expect.stringMatching(/^[a-z0-9]{8}$/),
        host: expect.any(String),
        pid: process.pid,
        version: expect.any(String),
        uptimeSeconds: expect.any(Number),
        memory: { residentBytes: expect.any(Number), heapBytes: expect.any(Number) },
        eventLoopDelayMs: expect.any(Number),
        nats: node,
        counts: { requestsInFlight: 1, requestsTotal: 0, publicationsTotal: 0, contentBytesTotal: 0 },
      },
    ],
    nats: [{ ...node, connectedFrom: 1 }],
    history: null,
    historyProblem: "the NATS server runs without JetStream",
  });
});

test("a cluster without workers is described without a long wait", async () => {
  await using lonely = await startAnother({ FANWIRE_PREFIX: "lonely" });

  const startedAt = performance.now();
  expect(await (await fetch(url("/v1/cluster", lonely))).json()).toMatchObject({
    workers: [],
    services: [{ kind: "publisher" }],
  });
  expect(performance.now() - startedAt).toBeLessThan(1_500);
});
