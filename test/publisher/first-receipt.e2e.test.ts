import { expect, test } from "vitest";
import { startPublisher, startPusher, untilReady } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";

test("the first receipt is complete when JetStream became available after the worker had started", async () => {
  const without = await startNats([], { jetStream: false });
  await using publisher = await startPublisher({ nats: without.url });
  await using pusher = await startPusher({ nats: without.url, env: { PUSHER_WORKERS: "1" } });
  const { port } = without;
  await without[Symbol.asyncDispose]();
  await using nats = await startNats(["-p", String(port)]);
  expect(nats.port).toBe(port);
  await Promise.all([untilReady(publisher.adminUrl), untilReady(pusher.adminUrl)]);

  const response = await fetch(`${publisher.url}/v1/publications`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ target: { topic: "orders" }, data: "x", durable: true, receipt: true }),
  });

  expect(await response.json()).toMatchObject({
    status: "stored",
    receipt: { workers: 1, missing: 0, complete: true },
  });
});
