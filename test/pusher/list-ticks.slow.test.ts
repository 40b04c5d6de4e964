import type { ControlRequest } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { startPusher } from "../support/cluster.ts";
import { connectCrowd } from "../support/crowd.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";

const CLIENTS = 1_000;
const READS = 100;

const { nats, bus } = useCluster();

test.each<[string, ControlRequest]>([
  ["of a user", { command: "find-user", user: "anna", limit: CLIENTS }],
  ["of the whole worker", { command: "list-connections", limit: CLIENTS }],
])("a hundred simultaneous pages of the connections %s take ticks below 50 ms of work", async (whose, request) => {
  const env = { PUSHER_WORKERS: "1", PUSHER_TOKEN_SECRET: SECRET, ...tickMonitor };
  await using pusher = await startPusher({ nats: nats.url, env });
  const token = await signToken({ sub: "anna", topics: [">"] });
  const topics = Array.from({ length: 10 }, (_, at) => `&topic=orders.${at}`).join("");
  const clients = await connectCrowd(Array(CLIENTS).fill(`${pusher.url}/?token=${token}${topics}`), () => {});
  const content = Buffer.from(JSON.stringify(request));
  const read = () => bus.request(subjects.allWorkers, content, { timeoutMs: 20_000 });
  const readAll = async () => {
    const answers = await Promise.all(Array.from({ length: READS }, read));
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  };
  // Before its code is compiled, the worker takes several times as long.
  await readAll();

  await expectShortTicks(`${READS} pages of the connections ${whose}`, async () => {
    await longestTickMs(pusher);
    await readAll();
    return longestTickMs(pusher);
  });
  for (const client of clients) client.close();
});
