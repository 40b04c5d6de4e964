import { expect, test } from "vitest";
import { publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_FLUSH_MS: "1000" } });

test("publications of one flush delay share a frame, in order", async () => {
  const client = await connectFanwire(pusher.url);
  let frames = 0;
  client.socket.on("message", () => frames++);

  // Each publication is confirmed before the next, so that without a window each would have its own tick.
  for (let number = 0; number < 20; number++) await publishToEveryone(bus, String(number));

  await until("all publications arrive", () => client.publications.length === 20);
  expect(client.data()).toEqual(Array.from({ length: 20 }, (_, number) => String(number)));
  expect(frames).toBeLessThan(10);
});

test("a client receives what was published before it unsubscribed, and nothing from before it subscribed", async () => {
  const leaving = await connectFanwire(pusher.url, { topic: "t" });
  await publishToTopic(bus, "t", "before");
  const coming = await connectFanwire(pusher.url, { topic: "t" });
  await leaving.ask({ command: "unsubscribe", topic: "t" });
  await publishToTopic(bus, "t", "after");

  await until("the second publication arrives", () => coming.data().includes("after"));
  expect(coming.data()).toEqual(["after"]);
  expect(leaving.data()).toEqual(["before"]);
});

test("a publication to one connection does not overtake earlier ones", async () => {
  const client = await connectFanwire(pusher.url);
  const [workerId = "", connectionId] = client.welcome.connection.split(".");
  const own = subjects.live({ kind: "connection", connection: { workerId, connectionId: Number(connectionId) } });

  await publishToEveryone(bus, "first");
  await bus.request(own, Buffer.from("second"), { timeoutMs: 10_000, headers: [] });

  await until("both publications arrive", () => client.publications.length === 2);
  expect(client.data()).toEqual(["first", "second"]);
});
