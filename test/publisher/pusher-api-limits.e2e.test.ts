import { describe, expect, test } from "vitest";
import { connectFanwire } from "../support/fanwire-client.ts";
import { startNats } from "../support/nats.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { answerOf, openPusherSdk } from "../support/pusher-sdk.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

describe("without JetStream", () => {
  const { pusher, publisher } = useCluster({
    nats: () => startNats([], { jetStream: false }),
    publisher: pusherAppsEnv(),
    pusher: pusherAppsEnv(),
  });

  test("events to cache channels are live, in order, and nothing is in the cache", async () => {
    const client = await connectFanwire(pusher.url, { topic: ["cache-a", "b"] });
    const sdk = openPusherSdk(publisher);
    const batch = Array.from({ length: 10 }, (_, at) => ({
      channel: at % 2 ? "cache-a" : "b",
      name: "n",
      data: `${at}`,
    }));

    expect(await answerOf(sdk.triggerBatch(batch))).toEqual({ status: 200, body: {} });
    await until("the client has all of them", () => client.publications.length === 10);
    expect(client.data()).toEqual(batch.map(({ data }) => data));
    expect((await answerOf(sdk.get({ path: "/channels/cache-a", params: { info: "cache" } }))).body).toEqual({
      occupied: true,
      cache: null,
    });
  });
});

describe("with a small max_payload of NATS and small bodies", () => {
  const app = { ...demoApp, maxEventBytes: 100_000 };
  const { publisher } = useCluster({
    nats: "max_payload: 20000",
    publisher: { ...pusherAppsEnv(app), PUBLISHER_MAX_BODY_BYTES: "150000" },
  });

  test("an event that is too large for NATS refuses its whole batch", async () => {
    const batch = ["small", "d".repeat(20_000)].map((data) => ({ channel: "a", name: "n", data }));

    expect(await answerOf(openPusherSdk(publisher).triggerBatch(batch))).toMatchObject({
      status: 413,
      body: { error: { code: "content_too_large" } },
    });
  });

  test("an event counts once for each channel toward the limit of a body", async () => {
    const sdk = openPusherSdk(publisher);
    const channels = Array.from({ length: 10 }, (_, at) => `b${at}`);

    expect(await answerOf(sdk.trigger(channels, "n", "d".repeat(15_000)))).toMatchObject({
      status: 413,
      body: { error: { code: "body_too_large" } },
    });
    expect((await answerOf(sdk.trigger(channels, "n", "d".repeat(10_000)))).status).toBe(200);
  });
});

describe("without apps", () => {
  const { publisher } = useCluster();

  test("the API is off, and its answer names the setting", async () => {
    const sdk = openPusherSdk(publisher);
    const error = { code: "pusher_off", message: expect.stringContaining("FANWIRE_PUSHER_APPS") };
    const off = { status: 404, body: { error } };

    expect(await answerOf(sdk.trigger("a", "n", "x"))).toMatchObject(off);
    expect(await answerOf(sdk.get({ path: "/channels", params: {} }))).toMatchObject(off);
    expect(await answerOf(sdk.terminateUserConnections("a/b"))).toMatchObject(off);
  });
});
