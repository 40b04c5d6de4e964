import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeWorkers } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { until } from "../support/wait.ts";
import { useWebhookCluster } from "../support/webhook-cluster.ts";

/** Above the time for which the end of an occupied topic is held back. */
const AFTER_HOLD_MS = 4_500;

const { pushers, senders, bus, of, names } = await useWebhookCluster();

/** Returns the names of all deliveries for a channel, without counts. */
const delivered = (channel: string) => of(channel).flatMap(({ name }) => (name === "subscription_count" ? [] : [name]));

test("leader election: one of two webhook senders leads", async () => {
  const leaders = await Promise.all(senders.all.map(({ adminUrl }) => metric(adminUrl, "fanwire_webhooks_leader")));

  expect(leaders.sort()).toEqual([0, 1]);
});

test("a topic is occupied once and vacated once, whatever its subscribers do in between", async () => {
  const first = await connectFanwire(pushers[0].url, { topic: "moving" });
  await until("occupied", () => delivered("moving").length === 1);
  const second = await connectFanwire(pushers[1].url, { topic: "moving" });
  first.socket.close();
  const third = await connectFanwire(pushers[0].url, { topic: "moving" });
  second.socket.close();
  third.socket.close();
  // Nobody is subscribed for a moment that is shorter than the hold-back.
  const fourth = await connectFanwire(pushers[1].url, { topic: "moving" });
  await delay(AFTER_HOLD_MS);
  expect(delivered("moving")).toEqual(["channel_occupied"]);

  fourth.socket.close();
  await until("vacated", () => delivered("moving").length === 2);
  await delay(1_000);
  expect(delivered("moving")).toEqual(["channel_occupied", "channel_vacated"]);
});

test("a topic that is occupied for a moment causes both events", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "brief" });
  client.socket.close();

  await until("both events", () => delivered("brief").length === 2);
  expect(delivered("brief")).toEqual(["channel_occupied", "channel_vacated"]);
});

test("the topics of a worker that is killed are vacated within 10 s", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: "worker-dies" });
  await until("it is occupied", () => names("worker-dies").length === 1);
  const workers = await describeWorkers(bus);
  const worker = workers.find(({ id }) => client.welcome.connection.startsWith(`${id}.`));
  const killedAt = performance.now();
  process.kill(worker?.pid ?? 0, "SIGKILL");

  await until("it is vacated", () => names("worker-dies").length === 2);
  expect(performance.now() - killedAt).toBeLessThan(10_000);
});
