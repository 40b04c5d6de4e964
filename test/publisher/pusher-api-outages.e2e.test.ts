import { expect, test } from "vitest";
import { readiness } from "../support/cluster.ts";
import { pusherAppsEnv } from "../support/pusher-apps.ts";
import { answerOf, openPusherSdk, signedTarget } from "../support/pusher-sdk.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { pushers, publisher, nats } = useCluster({
  publisher: pusherAppsEnv(),
  pusher: [pusherAppsEnv(), { ...pusherAppsEnv(), PUSHER_WORKERS: "1" }],
});

const sdk = () => openPusherSdk(publisher);
const get = (path: string) => answerOf(sdk().get({ path }));

test("a worker that does not answer is 503, never an empty list", async () => {
  const hung = pushers[1].process;
  expect((await get("/channels")).status).toBe(200);
  hung.kill("SIGSTOP");
  try {
    await until("the publisher notices", async () => (await get("/channels")).status === 503);
  } finally {
    hung.kill("SIGCONT");
  }
  await until("the worker answers again", async () => (await get("/channels")).status === 200);
});

test("an unreachable NATS is 503 with Retry-After and a sentence", async () => {
  await nats.stop();
  await until("the publisher notices", async () => (await readiness(publisher.adminUrl)).status === 503);
  const body = JSON.stringify({ name: "n", data: "x", channels: ["a"] });
  for (const [method, path] of [
    ["POST", "/apps/1001/events"],
    ["GET", "/apps/1001/channels"],
    ["GET", "/apps/1001/channels/a"],
    ["POST", "/apps/1001/users/u/terminate_connections"],
  ] as const) {
    const target = signedTarget({ method, path, ...(method === "POST" && { body }) });
    const response = await fetch(publisher.url + target, { method, ...(method === "POST" && { body }) });
    expect([response.status, response.headers.get("retry-after")], path).toEqual([503, "1"]);
    expect(await response.json()).toMatchObject({ error: { code: "nats_unavailable", message: expect.any(String) } });
  }
  await nats.restart();
  await until(
    "the publisher publishes again",
    async () => (await answerOf(sdk().trigger("a", "n", "x"))).status === 200,
  );
});
