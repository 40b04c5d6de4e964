import { expect, test } from "vitest";
import { startBalancer } from "../support/balancer.ts";
import { publishToTopic } from "../support/bus.ts";
import { readiness, startPusher } from "../support/cluster.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { connectPusher, connectPusherJs, subscribeJs } from "../support/pusher-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();

test("a draining pusher closes its clients over time with 4100, without an error", async () => {
  await using leaving = await startPusher({ nats: nats.url, env: { ...pusherAppsEnv(), PUSHER_DRAIN_SECONDS: "2" } });
  const clients = await Promise.all(Array.from({ length: 40 }, () => connectPusher(leaving.url)));
  const raw = await connectRawClient(leaving.url);
  const closedAt: number[] = [];
  for (const { socket } of clients) socket.on("close", () => closedAt.push(performance.now()));

  leaving.process.kill("SIGTERM");
  await until("it is draining", async () => (await readiness(leaving.adminUrl)).text === "draining");

  await until("all are closed", () => clients.every(({ close }) => close !== undefined) && raw.close);
  expect(new Set(clients.map(({ close }) => close?.code))).toEqual(new Set([4100]));
  expect(raw.close?.code).toBe(1012);
  expect(clients.every(({ frames }) => frames.every(({ event }) => event !== "pusher:error"))).toBe(true);
  expect(Math.max(...closedAt) - Math.min(...closedAt)).toBeGreaterThan(1_000);
});

test("pusher-js is back on another pusher, with its channels, within seconds of a drain", async () => {
  const env = { ...pusherAppsEnv(), PUSHER_DRAIN_SECONDS: "1" };
  await using leaving = await startPusher({ nats: nats.url, env });
  await using staying = await startPusher({ nats: nats.url, env });
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
});
