import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectPeer } from "../support/channel-peer.ts";
import { startWebhooks, type TestWebhooks } from "../support/cluster.ts";
import { postPublication } from "../support/http-api.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

// npm test bundles each service for all other tests. This file starts them as they are built: a file for each module.
if (process.env.FANWIRE_TEST_BUILT === "bundled") vi.stubEnv("FANWIRE_TEST_BUILT", "1");
const { nats, pusher, publisher, channel } = useCluster();
let webhooks: TestWebhooks;

beforeAll(async () => {
  webhooks = await startWebhooks({ nats: nats.url });
});
afterAll(() => webhooks[Symbol.asyncDispose]());

test("services start as they are built, and a publication reaches a client", async () => {
  const client = await connectRawClient(pusher.url);
  using peer = await connectPeer(channel);

  const { status } = await postPublication(publisher, { target: { everyone: true }, data: "built" });
  const page = await fetch(`${publisher.url}/docs`);
  await peer.settle();

  expect(status).toBe(200);
  expect(page.status).toBe(200);
  await until("the publication arrives", () => client.frames.includes("built"));
  expect(webhooks.process.exit()).toBeUndefined();
});
