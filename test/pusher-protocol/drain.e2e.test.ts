import { expect, test } from "vitest";
import { startBalancer } from "../support/balancer.ts";
import { publishToTopic } from "../support/bus.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const {
  bus,
  pushers: [leaving, staying],
} = useCluster({ pusher: { ...pusherAppsEnv(), PUSHER_DRAIN_SECONDS: "1" } });

test("a draining pusher closes its clients with 4100, and pusher-js is back on another one, with its channels, within seconds", async () => {
  const client = await connectPusher(leaving.url);
  const raw = await connectRawClient(leaving.url);
  const ports = [leaving, staying].map(({ url }) => Number(new URL(url).port));
  let isLeft = false;
  await using balancer = await startBalancer(() => (isLeft ? ports.slice(1) : ports.slice(0, 1)));
  using js = await connectPusherJs(`ws://127.0.0.1:${balancer.port}`, { member: { user_id: "ann" } });
  const channels = [await subscribeJs(js, "news"), await subscribeJs(js, "presence-lobby")];
  const connectedAgain = new Promise<void>((resolve) => js.connection.bind("connected", resolve));

  isLeft = true;
  const startedAt = performance.now();
  leaving.process.kill("SIGTERM");
  await connectedAgain;

  expect(performance.now() - startedAt).toBeLessThan(10_000);
  await until("it is subscribed again", () =>
    channels.every(
      ({ events }) => events.filter(({ event }) => event === "pusher:subscription_succeeded").length === 2,
    ),
  );
  await publishToTopic(bus, "news", "after");
  await until("the publication", () => channels[0]?.events.some(({ data }) => data === "after"));
  await until("the other clients are closed", () => client.close && raw.close);
  expect([client.close?.code, raw.close?.code]).toEqual([4100, 1012]);
  expect(client.frames.map(({ event }) => event)).toEqual(["pusher:connection_established"]);
});
