import { expect, test } from "vitest";
import { publishToTopic } from "../support/bus.ts";
import { readiness } from "../support/cluster.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher } from "../support/pusher-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { link, bus, pusher } = useCluster({ pusher: pusherAppsEnv({ ...demoApp, clientEvents: true }) });

test("clients stay connected while NATS is unavailable, learn that their events are lost, and continue afterwards", async () => {
  const client = await connectPusher(pusher.url);
  const other = await connectPusher(pusher.url);
  for (const each of [client, other]) await each.subscribe("private-a");

  link.cut();
  await until("the pusher is not ready", async () => (await readiness(pusher.adminUrl)).status === 503);
  client.send({ event: "client-a", channel: "private-a", data: "lost" });
  expect((await client.next("pusher:error")).data).toMatchObject({
    code: null,
    message: expect.stringContaining("not delivered"),
  });
  await other.subscribe("private-b");
  link.heal();
  await until("the pusher is ready", async () => (await readiness(pusher.adminUrl)).status === 200);

  client.send({ event: "client-b", channel: "private-a", data: "arrives" });
  expect(await other.next("client-b")).toMatchObject({ data: "arrives" });
  await publishToTopic(bus, "private-b", "later");
  await other.next("message", "private-b");
  expect(other.frames.some(({ event }) => event === "client-a")).toBe(false);
});
