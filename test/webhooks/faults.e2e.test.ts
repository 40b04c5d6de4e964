import { type EventName, Subjects } from "@fanwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWorkers } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { demoApp, pusherAppsEnv } from "../support/pusher-apps.ts";
import { EventReporter } from "../support/pusher-sources.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";
import { useWebhookSenders } from "../support/webhook-senders.ts";

const receiver = await startWebhookReceiver();
const webhooks = [{ url: receiver.url, events: ["channel_occupied", "channel_vacated", "client_event", "cache_miss"] }];
const members = [{ url: receiver.url, events: ["member_added", "member_removed", "subscription_count"] }];
const env = pusherAppsEnv({ ...demoApp, subscriptionCount: true, webhooks: [...webhooks, ...members] });
const { nats, pushers, bus } = useCluster({ pusher: env });
const senders = useWebhookSenders(nats, env, 2);

const announcements: Readonly<Record<string, unknown>>[] = [];
beforeAll(async () => {
  for (const name of ["topic_occupied", "topic_vacated"]) {
    bus.subscribe(`fanwire.events.${name}.>`, ({ data }) => {
      announcements.push(JSON.parse(Buffer.from(data).toString()));
    });
  }
  await bus.confirm();
});
afterAll(() => receiver[Symbol.asyncDispose]());

test("a leader that is killed between a change and its delivery loses no event, and none overtakes another", async () => {
  const channels = Array.from({ length: 20 }, (_, at) => `killed-${at}`);
  const first = await connectFanwire(pushers[0].url, { topic: channels });
  await until("all are occupied", () => channels.every((channel) => names(channel).length === 1));
  receiver.respond = () => 503;
  first.socket.close();
  const refused = () => receiver.received.filter(({ status }) => status === 503).flatMap(({ events }) => events);
  await until("an end is refused", () => refused().some(({ name }) => name === "channel_vacated"));
  const second = await connectFanwire(pushers[1].url, { topic: channels });
  (await senders.leader()).process.kill("SIGKILL");
  receiver.respond = () => 200;

  await until("all are occupied again", () =>
    channels.every((channel) => names(channel).at(-1) === "channel_occupied" && names(channel).length >= 3),
  );
  for (const channel of channels) {
    expect(names(channel)).toEqual(["channel_occupied", "channel_vacated", "channel_occupied"]);
    expect(announced(channel)).toEqual(["topic_occupied", "topic_vacated", "topic_occupied"]);
  }
  second.socket.close();
  await until("all are vacated", () => channels.every((channel) => names(channel).at(-1) === "channel_vacated"));
  await senders.add();
});

test("changes while no sender runs are announced by the next one", async () => {
  const stays = await connectFanwire(pushers[0].url, { topic: "stays" });
  const ends = await connectFanwire(pushers[0].url, { topic: "ends" });
  await until("both are occupied", () => names("stays").length + names("ends").length === 2);
  for (const { process } of senders.all) process.kill("SIGKILL");
  ends.socket.close();
  const begins = await connectFanwire(pushers[1].url, { topic: "begins" });
  await senders.add();
  await senders.add();

  await until("the end is announced", () => names("ends").length === 2);
  expect(names("ends")).toEqual(["channel_occupied", "channel_vacated"]);
  expect(names("begins")).toEqual(["channel_occupied"]);
  expect(names("stays")).toEqual(["channel_occupied"]);
  for (const topic of ["stays", "begins"]) expect(announced(topic)).toEqual(["topic_occupied"]);
  expect(announced("ends")).toEqual(["topic_occupied", "topic_vacated"]);
  for (const { socket } of [stays, begins]) socket.close();
  await until("all are vacated", () => names("stays").length + names("begins").length === 4);
});

test("a leader that hangs is replaced, and announces nothing when it wakes up", async () => {
  const hung = await senders.leader();
  hung.process.kill("SIGSTOP");
  const client = await connectFanwire(pushers[0].url, { topic: "hung" });
  await until("another sender announces it", () => names("hung").length === 1);
  hung.process.kill("SIGCONT");
  await until("it leads no longer", async () => (await metric(hung.adminUrl, "fanwire_webhooks_leader")) === 0);
  client.socket.close();
  await until("it is vacated", () => names("hung").length === 2);
  expect(names("hung")).toEqual(["channel_occupied", "channel_vacated"]);
  expect(announced("hung")).toEqual(["topic_occupied", "topic_vacated"]);
});

test("a restart of NATS ends no topic, and changes meanwhile are announced", async () => {
  const stays = await connectFanwire(pushers[0].url, { topic: "outage-stays" });
  const ends = await connectFanwire(pushers[1].url, { topic: "outage-ends" });
  await until("both are occupied", () => names("outage-stays").length + names("outage-ends").length === 2);
  await nats.stop();
  ends.socket.close();
  await nats.restart();

  await until("the end is announced", () => names("outage-ends").length === 2, 60_000);
  expect(names("outage-ends")).toEqual(["channel_occupied", "channel_vacated"]);
  expect(names("outage-stays")).toEqual(["channel_occupied"]);
  stays.socket.close();
  await until("the other ends", () => names("outage-stays").length === 2);
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

function of(channel: string): Readonly<Record<string, unknown>>[] {
  return receiver.events().filter((event) => event.channel === channel);
}

/** Returns the names of the delivered events of a channel, without counts. A repeated delivery counts once. */
function names(channel: string): unknown[] {
  const all = of(channel).map(({ name }) => name);
  const uncounted = all.filter((name) => name !== "subscription_count");
  return uncounted.filter((name, at) => name === "client_event" || name !== uncounted[at - 1]);
}

/** Returns the names of the announced events of a topic. No fault repeats an announcement. */
function announced(topic: string): unknown[] {
  return announcements.filter((event) => event.topic === topic).map(({ name }) => name);
}
