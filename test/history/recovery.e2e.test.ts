import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { caughtUp } from "../support/cluster.ts";
import { everyone, topic } from "../support/durable.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire, type FanwireClient, type FanwireMessage } from "../support/fanwire-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const MAX_PER_SUBJECT = 200;

const { nats, history, pushers } = useCluster({
  history: { maxPerSubject: MAX_PER_SUBJECT },
  pusher: { PUSHER_WORKERS: "1" },
});

const sequenceOf = (message: FanwireMessage) => Number(String(message.position).split("-")[1]);

function expectUnbroken(client: FanwireClient, from: number, to: number): void {
  expect(client.data().map(Number)).toEqual(Array.from({ length: to - from }, (_, at) => from + at));
}

test("durable publications are delivered in order with their positions, live ones without", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: ["a", "a.*"] });

  const positions = [
    await history.append(topic("a"), "1"),
    await history.append(topic("a.b"), "2"),
    await history.append(everyone, "3"),
  ];
  await until("the durable publications arrive", () => client.publications.length === 3);
  await history.bus.publish("fanwire.live.topic.a", Buffer.from("4"));

  await until("all publications arrive", () => client.publications.length === 4);
  expect(client.publications.map(({ data, position }) => [data, position])).toEqual([
    ["1", positions[0]],
    ["2", positions[1]],
    ["3", positions[2]],
    ["4", undefined],
  ]);
  expect(client.welcome.recovered).toBeNull();
});

test("a client that reconnects to any worker resumes without a gap or a duplicate, while publishing continues", async () => {
  let published = 0;
  let isPublishing = true;
  const publishing = (async () => {
    // The delay sets the rate of the load.
    for (; isPublishing; await delay(2)) await history.append(topic("busy"), String(published++));
  })();
  const seen: number[] = [];
  let since: string | undefined;

  for (let round = 0; round < 20; round++) {
    const pusher = pushers[round % 2 ? 1 : 0];
    const client = await connectFanwire(pusher.url, { topic: "busy", ...(since !== undefined && { since }) });
    if (round > 0) expect(client.welcome.recovered).toBe(true);
    const enough = client.publications.length + 3;
    await until("some publications arrive", () => client.publications.length >= enough);
    client.socket.terminate();
    const got = client.publications;
    seen.push(...got.map(({ data }) => Number(data)));
    since = String(got.at(-1)?.position);
    // Fewer than the history keeps for a subject.
    const missed = published + 10;
    await until("some publications were missed", () => published >= missed);
  }
  isPublishing = false;
  await publishing;

  const [first = 0] = seen;
  expect(seen).toEqual(seen.map((_, at) => first + at));
  expect(seen.length).toBeGreaterThan(200);
}, 120_000);

test("a resume replays topics, everyone and the user in the order of the history, once for each subscription", async () => {
  const start = await history.append(topic("m.0"), "before");
  for (let at = 0; at < 12; at++) await history.append(at % 4 === 3 ? everyone : topic(`m.${at % 4}`), String(at));

  const client = await connectFanwire(pushers[1].url, { topic: ["m.*", "m.1"], since: start });

  const expected = [0, 1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11].map(String);
  await until("all publications arrive", () => client.publications.length === expected.length);
  expect(client.data()).toEqual(expected);
  expect(client.welcome).toMatchObject({ recovered: true, position: start });
  const sequences = client.publications.map(sequenceOf);
  expect(sequences).toEqual([...sequences].sort((one, other) => one - other));
});

test("a resume that cannot be proved is not recovered, its client receives new publications, and other clients miss nothing", async () => {
  const start = await history.append(topic("much"), "0");
  let last = start;
  for (let at = 0; at <= MAX_PER_SUBJECT; at++) last = await history.append(topic("much"), `old ${at}`);
  await caughtUp(pushers[0], last);
  const [epoch] = start.split("-");
  const other = await connectFanwire(pushers[0].url, { topic: ["much", "much.*"] });
  const unprovable = [start, `${epoch}-999999999`, "another-1", "another-999999999", `${epoch}x-5`, "garbage", ""];

  for (const since of unprovable) {
    const client = await connectFanwire(pushers[0].url, { topic: "much", since });
    expect(client.welcome.recovered, since).toBe(false);
    await history.append(topic("much"), "live");
    await until("the client receives new publications", () => client.publications.length > 0);
    expect(client.data()).toEqual(["live"]);
    client.socket.close();
  }
  await history.append(topic("much.more"), "1");
  await history.append(everyone, "2");
  await until("the other client has the last publication", () => other.data().includes("2"));
  expect(other.data()).toEqual([...unprovable.map(() => "live"), "1", "2"]);
  const stream = await readEvents(`${pushers[0].sseUrl}?topic=much&since=garbage`);
  await until("the stream receives the gap event", () => stream.events().some(({ event }) => event === "fanwire.gap"));
});

test("clients receive each publication once and in order after NATS restarts, although publishers reconnect before workers", async () => {
  const clients = await Promise.all(pushers.map(({ url }) => connectFanwire(url, { topic: ["again", "again.*"] })));
  await history.append(topic("again"), "0");
  await until("the publication arrives", () => clients.every((client) => client.publications.length === 1));

  for (let round = 0; round < 3; round++) {
    await nats.stop("SIGKILL");
    await nats.restart();
    // The connection of the test may be restored before those of the workers.
    await until("NATS is connected again", () => history.bus.health().alive);
    for (let at = 0; at < 30; at++) await history.append(topic("again"), String(1 + round * 30 + at));
  }

  await until("all publications arrive", () => clients.every((client) => client.publications.length >= 91), 20_000);
  for (const client of clients) {
    expectUnbroken(client, 0, 91);
    expect(client.close).toBeUndefined();
    client.socket.close();
  }
}, 120_000);

test("a subscription that begins while NATS is unavailable receives what is stored after the reply", async () => {
  const [{ url }] = pushers;
  const client = await connectFanwire(url);

  await nats.stop("SIGKILL");
  expect(await client.ask({ command: "subscribe", topic: "away" })).toMatchObject({ ok: true });
  const newcomer = await connectFanwire(url, { topic: "away" });
  await nats.restart();
  await until("NATS is connected again", () => history.bus.health().alive);
  for (const data of ["1", "2", "3"]) await history.append(topic("away"), data);

  await until("all publications arrive", () => client.data().includes("3") && newcomer.data().includes("3"));
  for (const each of [client, newcomer]) expect(each.data()).toEqual(["1", "2", "3"]);
});
