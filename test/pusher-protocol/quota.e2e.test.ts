import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, type PusherClient, tryPusher, untilOverQuota } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const other = { id: "2002", key: "other-key", secret: "other-secret" };
const env = { ...pusherAppsEnv({ ...demoApp, maxConnections: 4 }, other), PUSHER_WORKERS: "1" };
const {
  pushers: [one, two],
} = useCluster({ pusher: env });

test("clients beyond the connections of an app are refused on all workers, until there is room", async () => {
  const open: PusherClient[] = [];
  for (const { url } of [one, one, two, two]) open.push(await connectPusher(url));

  for (const { url } of [one, two]) {
    const refused = await untilOverQuota(url);
    expect(refused.error).toMatchObject({ code: 4004 });
    expect(refused.client.frames).toHaveLength(1);
    expect((await tryPusher(url)).outcome).toBe(4004);
  }
  await connectPusher(one.url, other);
  expect(
    await metric(one.adminUrl, "fanwire_pusher_connections_refused_total", { reason: "quota" }),
  ).toBeGreaterThanOrEqual(2);

  open.pop()?.socket.close();
  await until("there is room", async () => {
    const tried = await tryPusher(one.url);
    return tried.outcome === "open" && tried.client;
  });
});
