import { type EventName, Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { describeWorkers } from "../support/bus.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { EventReporter } from "../support/pusher-sources.ts";
import { until } from "../support/wait.ts";
import { useWebhookCluster } from "../support/webhook-cluster.ts";

const { pushers, bus, of, names } = await useWebhookCluster();

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

test("members, client events, missed caches and counts of several workers are united", async () => {
  const wanted = new Set<EventName>([
    ...(["topic_occupied", "member_joined", "client_published", "cache_miss", "subscription_count"] as const),
  ]);
  const [one, two] = ["aaaaaaa1", "aaaaaaa2"].map(
    (workerId) => new EventReporter({ bus, subjects: new Subjects(), workerId, wanted }),
  );
  if (one === undefined || two === undefined) throw new Error("no reporter");
  const topic = "presence-room";

  one.memberJoined(topic, "anna");
  two.memberJoined(topic, "anna");
  two.topicOccupied(topic);
  one.memberLeft(topic, "anna");
  // Otherwise the events of one worker may come before the other one has made the topic occupied.
  await until("the member is added", () => names(topic).length === 2);
  const event = { name: "client_published", topic, event: "client-a", data: '"x"', connection: "aaaaaaa1.1" } as const;
  for (const each of [1, 2, 3]) one.happened({ ...event, data: String(each), user: "anna" });
  for (const reporter of [one, two, one]) reporter.happened({ name: "cache_miss", topic: "cache-a" });
  one.topicCounted("counted", 2);
  two.topicCounted("counted", 1);
  await until("the events", () => names(topic).length === 5 && of("counted").length > 0);
  expect(names(topic)[0]).toBe("channel_occupied");
  await until("the count", () => of("counted").at(-1)?.subscription_count === 3);
  expect(of(topic).filter(({ name }) => name === "member_added")).toMatchObject([{ user_id: "anna" }]);
  const events = of(topic).filter(({ name }) => name === "client_event");
  expect(events.map(({ data }) => data)).toEqual(["1", "2", "3"]);
  expect(events[0]).toMatchObject({ event: "client-a", user_id: "anna", socket_id: expect.stringMatching(/^\d+\.1$/) });
  expect(names("cache-a")).toEqual(["cache_miss"]);

  two.memberLeft(topic, "anna");
  two.topicCounted("counted", 0);
  one.topicCounted("counted", 0);
  await until("the member is removed", () => names(topic).at(-1) === "member_removed");
  await until("nobody is counted", () => of("counted").at(-1)?.subscription_count === 0);
  expect(names(topic).filter((name) => name === "member_removed")).toHaveLength(1);
  for (const reporter of [one, two]) await reporter.stop();
});
