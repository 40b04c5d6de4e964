import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeWorkers } from "../support/bus.ts";
import { metric, readiness, startPusher } from "../support/cluster.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();

test("a supervisor that was stopped kills no worker when it continues", async () => {
  await using pusher = await startPusher({ nats: nats.url });
  const before = await describeWorkers(bus);

  pusher.process.kill("SIGSTOP");
  // Longer than a worker may be silent.
  await delay(21_000);
  pusher.process.kill("SIGCONT");

  await until("it is ready", async () => (await readiness(pusher.adminUrl)).status === 200);
  const ids = async () => (await describeWorkers(bus)).map(({ id }) => id).sort();
  expect(await ids()).toEqual(before.map(({ id }) => id).sort());
  expect(await metric(pusher.adminUrl, "fanwire_pusher_worker_restarts_total")).toBe(0);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_workers")).toBe(2);
});
