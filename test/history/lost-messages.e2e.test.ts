import { beforeEach, expect, test } from "vitest";
import { metric } from "../support/cluster.ts";
import { everyone, topic } from "../support/durable.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { link, history, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1" } });

beforeEach(() => {
  link.drop = () => false;
});

const sequenceOf = (position: unknown) => Number(String(position).split("-")[1]);
const isLive = (subject: string) => subject.startsWith("fanwire.live.");

test("publications lost on the way are delivered from the history before what follows them", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["gap.a", "gap.*"] });
  await history.append(topic("gap.a"), "0");
  await until("it came, for each subscription", () => client.publications.length === 2);

  link.drop = isLive;
  for (const data of ["1", "2", "3"]) await history.append(topic("gap.a"), data);
  await until("they were lost", () => link.dropped >= 6);
  link.drop = () => false;
  await history.append(topic("gap.a"), "4");
  await history.append(everyone, "end");

  await until("all came", () => client.data().includes("end"));
  const own = (subscription: string | undefined) =>
    client.publications
      .filter((each) => each.topic === "gap.a" && each.subscription === subscription)
      .map(({ data }) => data);
  expect(own(undefined)).toEqual(["0", "1", "2", "3", "4"]);
  expect(own("gap.*")).toEqual(["0", "1", "2", "3", "4"]);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_history_fetched_total")).toBeGreaterThanOrEqual(3);
  client.socket.close();
});

test("what several topics have lost is read from the history together, not for one after the other", async () => {
  const topics = Array.from({ length: 30 }, (_, at) => `many.${at}`);
  const client = await connectFanwire(pusher.url, { topic: topics });
  const publish = (data: string) => Promise.all(topics.map((name) => history.append(topic(name), data)));
  await publish("1");
  await until("they came", () => client.publications.length === topics.length);
  link.drop = isLive;
  const { dropped } = link;
  await publish("2");
  await until("they were lost", () => link.dropped === dropped + topics.length);
  let descriptions = 0;
  const counting = history.bus.subscribe("$JS.API.STREAM.INFO.FANWIRE_HISTORY", () => descriptions++);
  await history.bus.confirm();

  link.drop = () => false;
  await publish("3");
  await until("all came", () => client.publications.length === 3 * topics.length);

  counting.unsubscribe();
  // A repair has the history described before it reads and after.
  expect(descriptions).toBeLessThan(topics.length / 2);
  for (const name of topics) {
    const own = client.publications.filter((each) => each.topic === name);
    expect(own.map(({ data }) => data)).toEqual(["1", "2", "3"]);
  }
  client.socket.close();
});

test.each([
  ["a topic", "last.a"],
  ["a pattern", "last.*"],
])("a lost last publication is found by comparing with the history: %s", async (_, pattern) => {
  const client = await connectFanwire(pusher.url, { topic: pattern });
  await history.append(topic("last.a"), "1");
  await until("it came", () => client.publications.length === 1);

  link.drop = isLive;
  const { dropped } = link;
  await history.append(topic("last.a"), "2");
  await until("it was lost", () => link.dropped > dropped);

  await until("it is delivered all the same", () => client.publications.length === 2);
  expect(client.data()).toEqual(["1", "2"]);
  client.socket.close();
});

test.each(["fresh.a", "fresh.*"])(
  "one that is lost right after the following began is found too: %s",
  async (pattern) => {
    const client = await connectFanwire(pusher.url, { topic: pattern });
    link.drop = isLive;
    await history.append(topic("fresh.a"), "1");
    await until("it is delivered all the same", () => client.publications.length === 1);
    client.socket.close();
  },
);

test.each(["moved.a", "moved.*"])(
  "who heard elsewhere what this worker has lost does not hear it again when it comes here: %s",
  async (pattern) => {
    const stays = await connectFanwire(pusher.url, { topic: pattern });
    await history.append(topic("moved.a"), "1");
    await until("it came", () => stays.publications.length === 1);
    link.drop = isLive;
    const { dropped } = link;
    const since = await history.append(topic("moved.a"), "2");
    await until("it was lost", () => link.dropped > dropped);
    link.drop = () => false;

    const moves = await connectFanwire(pusher.url, { topic: pattern, since });
    await history.append(topic("moved.a"), "3");

    await until("both have the last", () => [stays, moves].every((client) => client.data().includes("3")));
    expect(moves.welcome.recovered).toBe(true);
    expect(stays.data()).toEqual(["1", "2", "3"]);
    expect(moves.data()).toEqual(["3"]);
    for (const { socket } of [stays, moves]) socket.close();
  },
);

test("what is lost is found among thousands of topics and patterns without asking for each", async () => {
  const keys = Array.from({ length: 2_000 }, (_, at) => (at % 2 ? `crowd.${at}` : `crowd.${at}.*`));
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, at) => connectFanwire(pusher.url, { topic: keys.slice(at * 100, at * 100 + 100) })),
  );
  let questions = 0;
  const counting = history.bus.subscribe("$JS.API.>", () => questions++);
  await history.bus.confirm();

  link.drop = isLive;
  await history.append(topic("crowd.1001"), "of a topic");
  await history.append(topic("crowd.1998.a"), "of a pattern");

  await until("they are delivered all the same", () => clients.flatMap((client) => client.data()).length === 2);
  counting.unsubscribe();
  expect(clients[10]?.data()).toEqual(["of a topic"]);
  expect(clients[19]?.data()).toEqual(["of a pattern"]);
  expect(questions).toBeLessThan(50);
  for (const { socket } of clients) socket.close();
});

test("after an outage the history is read for those that missed something, not for each of thousands", async () => {
  const keys = Array.from({ length: 2_000 }, (_, at) => (at % 2 ? `outage.${at}` : `outage.${at}.*`));
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, at) => connectFanwire(pusher.url, { topic: keys.slice(at * 100, at * 100 + 100) })),
  );
  let questions = 0;
  const counting = history.bus.subscribe("$JS.API.>", () => questions++);
  await history.bus.confirm();

  link.cut();
  await history.append(topic("outage.1001"), "of a topic");
  await history.append(topic("outage.1998.a"), "of a pattern");
  link.heal();

  await until("they are delivered all the same", () => clients.flatMap((client) => client.data()).length === 2);
  await history.append(topic("outage.3"), "live");
  await until("all goes on", () => clients[0]?.data().includes("live") === true);
  counting.unsubscribe();
  expect(clients.map((client) => client.data()).filter((data) => data.length > 0)).toEqual([
    ["live"],
    ["of a topic"],
    ["of a pattern"],
  ]);
  expect(questions).toBeLessThan(100);
  for (const { socket } of clients) socket.close();
});

test("what is lost is found as soon behind thousands of a pattern as behind one", async () => {
  const client = await connectFanwire(pusher.url, { topic: "much.*" });
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 500 }, (_, at) => history.append(topic(`much.${at % 10}`), String(at))));
  }
  await until("they came", () => client.publications.length === 4_000);

  link.drop = isLive;
  await history.append(topic("much.0"), "lost");

  await until("it is delivered all the same", () => client.data().includes("lost"), 20_000);
  client.socket.close();
});

test("the position in the reply to a ping moves on, and never past what has not come, whatever is lost", async () => {
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
    await until("it stands where the history does", async () => {
      await ping();
      return said >= last;
    });
  }
  client.socket.close();
});

test("what was published while only this worker was cut off comes when it is back, in order, and live goes on", async () => {
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
  await until("all came", () => ofPattern().length >= published, 30_000);
  expect(ofPattern()).toEqual(Array.from({ length: published }, (_, at) => at));
  const ofTopic = client.publications
    .filter((each) => each.topic === "cut.a" && each.subscription === undefined)
    .map(({ data }) => Number(data));
  expect(ofTopic).toEqual(Array.from({ length: published / 2 }, (_, at) => at * 2 + 1));
  expect(client.close).toBeUndefined();
  client.socket.close();
});

test("a history that is made anew is noticed: live goes on, and nobody is told to have recovered", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["anew", "anew.*"] });
  const old = await history.append(topic("anew"), "old");
  await until("it came", () => client.publications.length === 1);

  const request = { timeoutMs: 5_000 };
  const deleted = await history.bus.request("$JS.API.STREAM.DELETE.FANWIRE_HISTORY", Buffer.alloc(0), request);
  expect(deleted.ok).toBe(true);
  const positions: string[] = [];
  for (const data of ["1", "2", "3"]) positions.push(await history.append(topic("anew"), data));

  await until("all came", () => client.publications.length === 4);
  expect(client.data()).toEqual(["old", "1", "2", "3"]);
  expect(client.publications.slice(1).map(({ position }) => position)).toEqual(positions);
  const back = await connectFanwire(pusher.url, { topic: "anew", since: old });
  expect(back.welcome.recovered).toBe(false);
  const next = await connectFanwire(pusher.url, { topic: "anew", since: positions[0] ?? "" });
  expect(next.welcome.recovered).toBe(true);
  await until("the rest came", () => next.publications.length === 2);
  for (const { socket } of [client, back, next]) socket.close();
});
