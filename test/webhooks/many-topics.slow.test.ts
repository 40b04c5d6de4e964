import { type EventName, Subjects } from "@fanwire/protocol";
import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { EventReporter } from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

const TOPICS = 100_000;
const env = { FANWIRE_EVENTS: "topic_occupied,topic_vacated" };
const { nats, bus } = useCluster();
const senders = useWebhookSenders(nats, env, 2);

test("a hundred thousand topics are announced once, and a new leader announces only the difference", async () => {
  const wanted = new Set<EventName>(["topic_occupied", "topic_vacated"]);
  const reporter = new EventReporter({ bus, subjects: new Subjects(), workerId: "aaaaaaa1", wanted });
  const announced = async (name: string) => {
    const counts = senders.all
      .filter(({ process }) => process.exit() === undefined)
      .map(({ adminUrl }) => metric(adminUrl, "fanwire_webhooks_events_total", { name }).catch(() => 0));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  for (let at = 0; at < TOPICS; at++) reporter.topicOccupied(`room.${at}`);
  const first = await senders.leader();
  await until("all are announced", async () => (await announced("topic_occupied")) === TOPICS, 60_000);

  first.process.kill("SIGKILL");
  for (let at = 0; at < 100; at++) reporter.topicVacated(`room.${at}`);
  await until("the difference is announced", async () => (await announced("topic_vacated")) === 100, 60_000);
  expect(await announced("topic_occupied")).toBe(0);
  await reporter.stop();
});
