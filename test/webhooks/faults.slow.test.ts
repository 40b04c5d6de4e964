import { expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { until } from "../support/wait.ts";
import { useWebhookCluster } from "../support/webhook-cluster.ts";

const { nats, receiver, pushers, senders, names, announced } = await useWebhookCluster();

test("failover: a leader that is killed between a change and its delivery loses no event, and none overtakes another", async () => {
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

test("failover: a leader that hangs is replaced, and announces nothing when it wakes up", async () => {
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

test("a pusher that stops while its client moves to another one causes no event", async () => {
  const first = await connectFanwire(pushers[0].url, { topic: "rolling" });
  await until("it is occupied", () => names("rolling").length === 1);
  expect(await pushers[0].process.stop()).toBe(0);
  await until("the client is closed", () => first.close);
  const second = await connectFanwire(pushers[1].url, { topic: "rolling" });
  // Longer than the hold-back: an end that was not held back would have been announced.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(announced("rolling")).toEqual(["topic_occupied"]);

  second.socket.close();
  await until("it is vacated", () => names("rolling").length === 2);
  expect(announced("rolling")).toEqual(["topic_occupied", "topic_vacated"]);
});
