import { expect, test } from "vitest";
import { subjects } from "../support/bus.ts";
import { connectPeer, frame } from "../support/channel-peer.ts";
import { metric } from "../support/cluster.ts";
import { reply } from "../support/php-value.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { untilMetric } from "./metrics.ts";

const {
  bus,
  channels: [strict, lenient],
} = useCluster({ channel: [{ CHANNEL_ALLOWED_CLASSES: "none" }, {}] });
const item = (queue: string, data: number) => reply("queue", queue, data);

test("an item of a class that one server refuses is kept for another, and a message that is no item is deleted", async () => {
  using producer = await connectPeer(lenient);
  using early = await connectPeer(strict);
  const object = 'O:8:"App\\User":0:{}';
  const channels = 'a:1:{i:0;s:5:"mixed";}';
  producer.socket.write(
    frame(Buffer.from(`a:3:{s:4:"type";s:7:"enqueue";s:8:"channels";${channels}s:4:"data";${object}}`)),
  );
  producer.enqueue(["mixed"], 1);
  await untilMetric("the items are stored", lenient, "fanwire_channel_queue_items_total", 2, { outcome: "stored" });
  await bus.publish(subjects.channel("queue", "mixed", String), Buffer.from("garbage"));
  const logged = (msg: string) => strict.process.logLines().find((line) => line.msg === msg);

  early.watch("mixed");
  early.reserve();
  await until("the other item is received", () => early.payloads.length === 1);
  early.reserve();
  await until("the message is deleted", () => logged("message in the queue stream deleted: no item of its queue"));
  expect(early.payloads).toEqual([item("mixed", 1)]);
  expect(logged("queue item returned: class not in CHANNEL_ALLOWED_CLASSES")).toMatchObject({
    level: "error",
    className: "App\\User",
  });
  expect(await metric(strict.adminUrl, "fanwire_channel_refused_from_nats_total", { kind: "queue-item" })).toBe(1);
  early.unwatch("mixed");
  await early.settle();

  using late = await connectPeer(lenient);
  late.watch("mixed");
  late.reserve();
  await until("the item is received", () => late.payloads.length === 1);
  expect(late.payloads).toEqual([item("mixed", 0).replace("i:0;", object)]);
});
