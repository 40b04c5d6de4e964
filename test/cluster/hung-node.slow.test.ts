import { test } from "vitest";
import { connectBus } from "../support/bus.ts";
import { startLink } from "../support/link.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats } = useCluster();

test("a server that hangs is replaced, although bytes are left to be written to it", async () => {
  await using first = await startLink(nats.port);
  await using second = await startLink(nats.port);
  await using bus = await connectBus(first.url, second.url);
  const isFirst = bus.connection.getServer().endsWith(`:${first.port}`);

  (isFirst ? first : second).set("stall");
  for (let at = 0; at < 40; at++) bus.send("a", Buffer.alloc(500_000));

  await until("the loss is detected", () => !bus.traffic().isConnected, 25_000);
  await until("the other server is used", () => bus.health().alive);
});
