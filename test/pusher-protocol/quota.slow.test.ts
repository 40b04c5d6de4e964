import { expect, test } from "vitest";
import { startPusher } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { type PusherClient, tryPusher, untilOverQuota } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const env = { ...pusherAppsEnv({ ...demoApp, maxConnections: 4 }), PUSHER_WORKERS: "1" };
const { nats, pusher: one } = useCluster({ pusher: env });

test("clients of a killed worker are not refused permanently", async () => {
  await using third = await startPusher({ nats: nats.url, env });
  const lost: PusherClient[] = [];
  for (let n = 0; n < 4; n++) {
    const { client } = await until("there is room", async () => {
      const tried = await tryPusher(third.url);
      return tried.outcome === "open" && tried;
    });
    lost.push(client);
  }
  await untilOverQuota(one.url);

  third.process.kill("SIGKILL");
  await until("the clients are lost", () => lost.every(({ close }) => close));
  const outcomes: unknown[] = [];
  await until("a client is back", async () => {
    outcomes.push((await tryPusher(one.url)).outcome);
    return outcomes.at(-1) === "open";
  });

  expect(outcomes).not.toContain(4004);
});
