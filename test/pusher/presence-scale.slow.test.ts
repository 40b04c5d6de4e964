import { expect, test } from "vitest";
import { connectCrowd } from "../support/crowd.ts";
import { callApi } from "../support/http-api.ts";
import { presenceToken } from "../support/presence-client.ts";
import { expectShortTicks, longestTickMs, tickMonitor } from "../support/tick-monitor.ts";
import { SECRET } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { stretch, until } from "../support/wait.ts";

const { pushers, publisher } = useCluster({
  pusher: { PUSHER_TOKEN_SECRET: SECRET, PUSHER_WORKERS: "1", ...tickMonitor, PUSHER_MAX_INBOUND_PER_SECOND: "100000" },
});

const urlsOf = (count: number, prefix: string) =>
  Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const token = await presenceToken(`${prefix}-${at}`);
      return `${(pushers[at % 2] ?? pushers[0]).url}?token=${token}`;
    }),
  );

async function longestTick(): Promise<number> {
  return Math.max(...(await Promise.all(pushers.map((pusher) => longestTickMs(pusher)))));
}

test("10,000 members on one topic: each join is announced to all within 250 ms", async () => {
  const members = 10_000;
  const counts = new Array<number>(members).fill(0);
  let replies = 0;
  let awaited = "no user";
  let announced = 0;
  const crowd = await connectCrowd(await urlsOf(members, "crowd"), (client, text) => {
    if (text.startsWith('{"type":"presence"')) {
      if (text.includes(awaited)) announced++;
    } else if (!text.startsWith('{"type":"reply"')) return;
    else replies++;
    counts[client] = Number(/"count":(\d+)/.exec(text)?.[1] ?? 0);
  });
  /** The topic that all have joined last. */
  let crowdTopic = "";
  await expectShortTicks(`${members} joins`, async (round) => {
    crowdTopic = `crowd-${round}`;
    replies = 0;
    counts.fill(0);
    await longestTick();
    const startedAt = performance.now();
    for (const client of crowd) client.send({ id: 1, command: "subscribe", topic: crowdTopic, presence: true });
    await until(
      () => `all joined, not ${replies}`,
      () => replies === members,
      120_000,
    );
    await until("all know the number", () => counts.every((count) => count === members), 60_000);
    console.log(`${members} joined and known to all in ${Math.round(performance.now() - startedAt)} ms`);
    return longestTick();
  });

  const delays: number[] = [];
  await expectShortTicks("joins that are announced to all", async () => {
    await longestTick();
    for (let at = 0; at < 10; at++) {
      const user = `late-${delays.length}`;
      const [late] = await connectCrowd([`${pushers[0].url}?token=${await presenceToken(user)}`], () => {});
      awaited = `"joined":[{"user":"${user}"}]`;
      announced = 0;
      const sentAt = performance.now();
      late?.send({ id: 1, command: "subscribe", topic: crowdTopic, presence: true });
      await until(
        () => `all receive it, not ${announced}`,
        () => announced >= members,
      );
      delays.push(performance.now() - sentAt);
    }
    return longestTick();
  });
  console.log(`announced to all after ${delays.map(Math.round)} ms`);
  const path = `/v1/topics/${crowdTopic}`;
  expect(await callApi(publisher, "GET", path)).toMatchObject({ body: { members: members + delays.length } });
  expect(delays.toSorted((one, other) => one - other)[delays.length / 2]).toBeLessThan(250 * stretch());
  for (const client of crowd) client.close();
  await until("all have left", async () => {
    const { body } = await callApi<{ members: number }>(publisher, "GET", path);
    return body.members === delays.length;
  });
}, 300_000);

test("10,000 topics of ten members: each knows all ten", async () => {
  const [clients, topicsOfClient] = [1_000, 100];
  /** The last count of each topic that each client knows. */
  const counts = new Map<string, number>();
  let replies = 0;
  const crowd = await connectCrowd(await urlsOf(clients, "topics"), (client, text) => {
    const isReply = text.startsWith('{"type":"reply"');
    if (!isReply && !text.startsWith('{"type":"presence"')) return;
    const message = JSON.parse(text);
    if (isReply) replies++;
    counts.set(`${client} ${isReply ? topicOf(client, message.id) : message.topic}`, message.count);
  });
  // Each topic has members of both pushers, because neighbouring clients have the same topics.
  const topicOf = (client: number, at: number) => `t-${Math.floor(client / 10) * topicsOfClient + at}`;
  const startedAt = performance.now();
  for (let at = 0; at < topicsOfClient; at++) {
    for (const [client, { send }] of crowd.entries()) {
      send({ id: at, command: "subscribe", topic: topicOf(client, at), presence: true });
    }
  }
  await until(
    () => `all joined, not ${replies}`,
    () => replies === clients * topicsOfClient,
    120_000,
  );
  await until("all know the number", () => [...counts.values()].every((count) => count === 10), 60_000);
  console.log(`100,000 joins known to all in ${Math.round(performance.now() - startedAt)} ms`);
  console.log(`longest tick ${await longestTick()} ms of work`);
  expect(counts.size).toBe(clients * topicsOfClient);
}, 300_000);
