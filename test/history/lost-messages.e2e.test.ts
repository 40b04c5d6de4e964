import { beforeEach, expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { everyone, topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { askStream } from "../support/jetstream.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { link, history, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });

beforeEach(() => {
  link.drop = () => false;
});

const sequenceOf = (position: unknown) => Number(String(position).split("-")[1]);
const isLive = (subject: string) => subject.startsWith("fanwire.live.");

test("lost publications are delivered from the history before later ones", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["gap.a", "gap.*"] });
  await history.append(topic("gap.a"), "0");
  await until("the publication arrives for each subscription", () => client.publications.length === 2);

  link.drop = isLive;
  for (const data of ["1", "2", "3"]) await history.append(topic("gap.a"), data);
  await until("the publications are dropped", () => link.dropped >= 6);
  link.drop = () => false;
  await history.append(topic("gap.a"), "4");
  await history.append(everyone, "end");

  await until("all publications arrive", () => client.data().includes("end"));
  const own = (subscription: string | undefined) =>
    client.publications
      .filter((each) => each.topic === "gap.a" && each.subscription === subscription)
      .map(({ data }) => data);
  expect(own(undefined)).toEqual(["0", "1", "2", "3", "4"]);
  expect(own("gap.*")).toEqual(["0", "1", "2", "3", "4"]);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_history_fetched_total")).toBeGreaterThanOrEqual(3);
});

test("one read of the history recovers the lost publications of many topics", async () => {
  const topics = Array.from({ length: 30 }, (_, at) => `many.${at}`);
  const client = await connectFanwire(pusher.url, { topic: topics });
  const publish = (data: string) => Promise.all(topics.map((name) => history.append(topic(name), data)));
  await publish("1");
  await until("the publications arrive", () => client.publications.length === topics.length);
  link.drop = isLive;
  const { dropped } = link;
  await publish("2");
  await until("the publications are dropped", () => link.dropped === dropped + topics.length);
  let descriptions = 0;
  const counting = history.bus.subscribe("$JS.API.STREAM.INFO.FANWIRE_HISTORY", () => descriptions++);
  await history.bus.confirm();

  link.drop = () => false;
  await publish("3");
  await until("all publications arrive", () => client.publications.length === 3 * topics.length);

  counting.unsubscribe();
  // A repair requests the description of the stream before and after its read.
  expect(descriptions).toBeLessThan(topics.length / 2);
  for (const name of topics) {
    const own = client.publications.filter((each) => each.topic === name);
    expect(own.map(({ data }) => data)).toEqual(["1", "2", "3"]);
  }
});

test.each([
  ["the last one", "last.a", ["1", "2"]],
  ["the last one", "last.*", ["1", "2"]],
  ["the first one", "first.a", ["1"]],
  ["the first one", "first.*", ["1"]],
])("a worker finds a lost publication that no later one follows: %s of %s", async (_, pattern, contents) => {
  const client = await connectFanwire(pusher.url, { topic: pattern });
  const lost = topic(pattern.replace("*", "a"));
  for (const content of contents.slice(0, -1)) await history.append(lost, content);
  await until("the earlier publications arrive", () => client.publications.length === contents.length - 1);

  link.drop = isLive;
  const { dropped } = link;
  await history.append(lost, contents.at(-1) ?? "");
  await until("the publication is dropped", () => link.dropped > dropped);

  await until("the lost publication is delivered", () => client.publications.length === contents.length);
  expect(client.data()).toEqual(contents);
});

test.each(["moved.a", "moved.*"])(
  "a client that received on another worker what this worker lost receives no duplicate here: %s",
  async (pattern) => {
    const stays = await connectFanwire(pusher.url, { topic: pattern });
    await history.append(topic("moved.a"), "1");
    await until("the publication arrives", () => stays.publications.length === 1);
    link.drop = isLive;
    const { dropped } = link;
    const since = await history.append(topic("moved.a"), "2");
    await until("the publication is dropped", () => link.dropped > dropped);
    link.drop = () => false;

    const moves = await connectFanwire(pusher.url, { topic: pattern, since });
    await history.append(topic("moved.a"), "3");

    await until("both clients have the last publication", () =>
      [stays, moves].every((client) => client.data().includes("3")),
    );
    expect(moves.welcome.recovered).toBe(true);
    expect(stays.data()).toEqual(["1", "2", "3"]);
    expect(moves.data()).toEqual(["3"]);
  },
);

test.each([
  { loss: "messages are lost", most: 50, begin: () => Object.assign(link, { drop: isLive }), end: () => {} },
  { loss: "its connection is reset", most: 100, begin: () => link.cut(), end: () => link.heal() },
])(
  "a worker with thousands of subscriptions delivers what it missed without a request for each: $loss",
  async (row) => {
    const { most, begin, end } = row;
    const keys = Array.from({ length: 2_000 }, (_, at) => (at % 2 ? `crowd.${at}` : `crowd.${at}.*`));
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        connectFanwire(pusher.url, { topic: keys.slice(at * 100, at * 100 + 100) }),
      ),
    );
    let questions = 0;
    const counting = history.bus.subscribe("$JS.API.>", () => questions++);
    await history.bus.confirm();

    begin();
    await history.append(topic("crowd.1001"), "of a topic");
    await history.append(topic("crowd.1998.a"), "of a pattern");
    end();

    await until("the lost publications are delivered", () => clients.flatMap((client) => client.data()).length === 2);
    link.drop = () => false;
    await history.append(topic("crowd.3"), "live");
    await until("new publications arrive", () => clients[0]?.data().includes("live") === true);
    counting.unsubscribe();
    expect(clients.map((client) => client.data()).filter((data) => data.length > 0)).toEqual([
      ["live"],
      ["of a topic"],
      ["of a pattern"],
    ]);
    expect(questions).toBeLessThan(most);
  },
);

test("the position in the reply to a ping never passes a publication that the client has not received", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["ping.a", "ping.*", "ping.silent"] });
  const published: number[] = [];
  let said = sequenceOf(client.welcome.position);
  const ping = async () => {
    const { position } = await client.ask({ command: "ping" });
    if (position === undefined || sequenceOf(position) <= said) return false;
    said = sequenceOf(position);
    const came = new Set(client.publications.map((each) => sequenceOf(each.position)));
    expect(published.filter((sequence) => sequence <= said && !came.has(sequence))).toEqual([]);
    return true;
  };
  for (const target of [everyone, topic("ping.silent")])
    published.push(sequenceOf(await history.append(target, "first")));

  for (let round = 0; round < 3; round++) {
    link.drop = (subject) => isLive(subject) && Math.random() < 0.3;
    for (let at = 0; at < 30; at++) {
      published.push(sequenceOf(await history.append(topic(at % 2 ? "ping.a" : "ping.b"), String(at))));
      await ping();
    }
    link.drop = () => false;
    const last = sequenceOf(await history.append(topic("else"), "not for this one"));
    await until("the position reaches the end of the history", async () => {
      await ping();
      return said >= last;
    });
  }
});

test("partition: clients receive in order what was published while their worker was disconnected from NATS", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["cut.*", "cut.a"] });
  let published = 0;
  const publish = async (count: number) => {
    for (const end = published + count; published < end; published++) {
      await history.append(topic(published % 2 ? "cut.a" : "cut.b"), String(published));
    }
  };

  for (let round = 0; round < 3; round++) {
    await publish(20);
    link.cut();
    await publish(40);
    link.heal();
    await publish(20);
  }

  const ofPattern = () =>
    client.publications.filter(({ subscription }) => subscription === "cut.*").map(({ data }) => Number(data));
  await until("all publications arrive", () => ofPattern().length >= published, 30_000);
  expect(ofPattern()).toEqual(Array.from({ length: published }, (_, at) => at));
  const ofTopic = client.publications
    .filter((each) => each.topic === "cut.a" && each.subscription === undefined)
    .map(({ data }) => Number(data));
  expect(ofTopic).toEqual(Array.from({ length: published / 2 }, (_, at) => at * 2 + 1));
  expect(client.close).toBeUndefined();
});

test("clients receive publications of a recreated history, and no client resumes from the old one as recovered", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["recreated", "recreated.*"] });
  const old = await history.append(topic("recreated"), "old");
  await until("the publication arrives", () => client.publications.length === 1);

  await askStream(history.bus, "DELETE.FANWIRE_HISTORY");
  const positions: string[] = [];
  await until("the recreated history stores", async () => {
    // nats-server 2.9 may still delete the files of the old stream, and then refuses to store.
    const stored = await history.append(topic("recreated"), "1").catch(() => undefined);
    if (stored !== undefined) positions.push(stored);
    return stored !== undefined;
  });
  for (const data of ["2", "3"]) positions.push(await history.append(topic("recreated"), data));

  await until("all publications arrive", () => client.publications.length === 4);
  expect(client.data()).toEqual(["old", "1", "2", "3"]);
  expect(client.publications.slice(1).map(({ position }) => position)).toEqual(positions);
  const back = await connectFanwire(pusher.url, { topic: "recreated", since: old });
  expect(back.welcome.recovered).toBe(false);
  const next = await connectFanwire(pusher.url, { topic: "recreated", since: positions[0] ?? "" });
  expect(next.welcome.recovered).toBe(true);
  await until("the other publications arrive", () => next.publications.length === 2);
});
