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

test("a subscribe command with a position recovers its topic after the reply", async () => {
  const start = await history.append(topic("late"), "0");
  await history.append(topic("late"), "1");
  const client = await connectFanwire(pushers[0].url);
  const order: string[] = [];
  client.socket.on("message", (data: Buffer) => {
    for (const line of data.toString().split("\n")) order.push(JSON.parse(line).type);
  });

  expect(await client.ask({ command: "subscribe", topic: "late", since: start })).toMatchObject({
    ok: true,
    recovered: true,
  });
  await history.append(topic("late"), "2");

  await until("both publications arrive", () => client.publications.length === 2);
  expect(client.publications.map(({ data, recovered }) => [data, recovered])).toEqual([
    ["1", true],
    ["2", undefined],
  ]);
  expect(order).toEqual(["reply", "publication", "publication"]);
});

test("a resume that cannot be proved is not recovered, and the client receives new publications", async () => {
  const start = await history.append(topic("much"), "0");
  let last = start;
  for (let at = 0; at <= MAX_PER_SUBJECT; at++) last = await history.append(topic("much"), `old ${at}`);
  await caughtUp(pushers[0], last);
  const [epoch] = start.split("-");
  const unprovable = [start, `${epoch}-999999999`, "another-1", `${epoch}x-5`, "garbage", ""];

  for (const since of unprovable) {
    const client = await connectFanwire(pushers[0].url, { topic: "much", since });
    expect(client.welcome.recovered, since).toBe(false);
    await history.append(topic("much"), "live");
    await until("the client receives new publications", () => client.publications.length > 0);
    expect(client.data()).toEqual(["live"]);
    client.socket.close();
  }
  const stream = await readEvents(`${pushers[0].sseUrl}?topic=much&since=garbage`);
  await until("the stream receives the gap event", () => stream.events().some(({ event }) => event === "fanwire.gap"));
});

test("a resume from beyond the history or from another history makes no other client miss a publication", async () => {
  const start = await history.append(topic("quiet"), "0");
  await caughtUp(pushers[0], start);
  const [epoch] = start.split("-");
  const others = await connectFanwire(pushers[0].url, { topic: ["quiet", "quiet.*"] });

  for (const since of [`${epoch}-999999999`, "another-999999999"]) {
    const client = await connectFanwire(pushers[0].url, { topic: ["quiet", "quiet.*"], since });
    expect(client.welcome.recovered).toBe(false);
    client.socket.close();
  }
  await history.append(topic("quiet"), "1");
  await history.append(topic("quiet.a"), "2");
  await history.append(everyone, "3");

  await until("all publications arrive", () => others.publications.length === 3);
  expect(others.data()).toEqual(["1", "2", "3"]);
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

test("a client that unsubscribes during its replay does not receive the topic, although another client keeps it", async () => {
  const [{ url }] = pushers;
  const witness = await connectFanwire(url, { topic: "left" });
  const client = await connectFanwire(url, { topic: "kept" });
  const since = await history.append(topic("left"), "first");
  for (let count = 0; count < 100; count++) await history.append(topic("left"), "missed");

  await Promise.all([
    client.ask({ command: "subscribe", topic: "left", since }),
    client.ask({ command: "unsubscribe", topic: "left" }),
  ]);
  await client.ask({ command: "subscribe", topic: "later", since });
  await history.append(topic("left"), "last");
  await history.append(topic("kept"), "last of kept");

  await until("the witness has the last publication", () => witness.data().at(-1) === "last");
  await until("the client has the last of its topic", () => client.data().at(-1) === "last of kept");
  expect(client.data()).not.toContain("last");
});
