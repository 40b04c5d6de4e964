import { setImmediate as nextTick } from "node:timers/promises";
import { expect, test } from "vitest";
import { publishToEveryone, publishToTopic, subjects } from "../support/bus.ts";
import { metric } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { bus, pusher } = useCluster({ pusher: { PUSHER_WORKERS: "1", PUSHER_MAX_TOPICS: "5" } });

const subjectOf = (topic: string) => subjects.live({ kind: "topic", topic });
const sseUrl = (query: string) => `${pusher.sseUrl}?${query}`;

test("fan-out: a topic reaches the subscribers of every protocol once for each matching subscription, and no other connection", async () => {
  const raw = await connectRawClient(`${pusher.url}?topic=news.sport`);
  const patterns = await connectRawClient(`${pusher.url}?topic=news.*&topic=news.%3E&topic=other`);
  const unsubscribed = await connectRawClient(pusher.url);
  const fanwire = await connectFanwire(pusher.url, { topic: ["news.sport", "news.*"] });
  const sse = await readEvents(sseUrl("topic=news.sport"));

  await publishToTopic(bus, "news.sport", "goal");
  await publishToTopic(bus, "news.sport.local", "deep");
  await publishToTopic(bus, "news", "short");
  await publishToEveryone(bus, "end");

  await until("all receive the last publication", () =>
    [raw, patterns, unsubscribed].every(({ frames }) => frames.at(-1) === "end"),
  );
  await until(
    "the other protocols as well",
    () => fanwire.data().at(-1) === "end" && sse.events().at(-1)?.data === "end",
  );
  expect(raw.frames).toEqual(["goal", "end"]);
  expect(patterns.frames).toEqual(["goal", "goal", "deep", "end"]);
  expect(unsubscribed.frames).toEqual(["end"]);
  expect(fanwire.publications).toEqual([
    { type: "publication", topic: "news.sport", event: "message", data: "goal" },
    { type: "publication", topic: "news.sport", subscription: "news.*", event: "message", data: "goal" },
    { type: "publication", event: "message", data: "end" },
  ]);
  expect(sse.events().slice(1)).toEqual([{ data: "goal" }, { data: "end" }]);
});

test("a worker has one NATS subscription for each topic, until its last subscriber unsubscribes", async () => {
  const listening = () => metric(pusher.adminUrl, "fanwire_pusher_subscriptions");
  await until("only the subscription to everyone is left", async () => (await listening()) === 1);

  const clients = await Promise.all(Array.from({ length: 20 }, () => connectRawClient(`${pusher.url}?topic=shared`)));
  const fanwire = await connectFanwire(pusher.url, { topic: ["shared", "own.*"] });
  expect(await listening()).toBe(3);

  await fanwire.ask({ command: "unsubscribe", topic: "own.*" });
  expect(await listening()).toBe(2);
  for (const { socket } of clients) socket.terminate();
  fanwire.socket.close();
  await until("all other subscriptions are closed", async () => (await listening()) === 1);
});

test.each(["topic=a.%3E.b", "topic=1&topic=2&topic=3&topic=4&topic=5&topic=6"])(
  "every protocol refuses a handshake with %s",
  async (query) => {
    await expect(connectRawClient(`${pusher.url}?${query}`)).rejects.toThrow("closed with 4400");
    await expect(readEvents(sseUrl(query))).rejects.toThrow("400");
  },
);

test("a subscription over the limit of topics is refused and counted, and the connection stays open", async () => {
  const client = await connectFanwire(pusher.url, { topic: ["1", "2", "3", "4", "5"] });

  expect(await client.ask({ command: "subscribe", topic: "6" })).toMatchObject({
    ok: false,
    error: { code: "topic-limit" },
  });
  expect(await client.ask({ command: "subscribe", topic: "5" })).toMatchObject({ ok: true });
  expect(await metric(pusher.adminUrl, "fanwire_pusher_topic_limits_total")).toBe(1);
});

test("connections receive all of their own topics in order while others close", async () => {
  const open = 60;
  const numbers = Array.from({ length: 300 }, (_, number) => String(number));
  const topicsOf = (at: number) => [`own.${at}.a`, `own.${at}.b`];
  const raw = await Promise.all(
    Array.from({ length: open }, (_, at) => connectRawClient(`${pusher.url}?topic=${topicsOf(at).join("&topic=")}`)),
  );
  const fanwire = await Promise.all(
    Array.from({ length: open }, (_, at) => connectFanwire(pusher.url, { topic: topicsOf(at + open) })),
  );
  const all = Array.from({ length: 2 * open }, (_, at) => topicsOf(at)).flat();

  for (const number of numbers) {
    void bus.publishAll(all.map((topic) => ({ subject: subjectOf(topic), content: Buffer.from(number) })));
    for (const leaving of Number(number) % 10 === 0 ? [raw.pop(), fanwire.pop()] : []) leaving?.socket.terminate();
    await nextTick();
  }

  const twice = numbers.flatMap((number) => [number, number]);
  await until("all publications arrive", () => raw.every(({ frames }) => frames.length >= twice.length));
  await until("all publications arrive", () =>
    fanwire.every(({ publications }) => publications.length >= twice.length),
  );
  expect(new Set(raw.map(({ frames }) => frames.join()))).toEqual(new Set([twice.join()]));
  expect(new Set(fanwire.map((client) => client.data().join()))).toEqual(new Set([twice.join()]));
  expect(pusher.process.exit()).toBeUndefined();
});

test("an excepted connection of any protocol does not receive the publication", async () => {
  const protocols = [
    await connectFanwire(pusher.url, { topic: "x" }),
    await connectFanwire(pusher.url, { topic: "x" }),
  ] as const;
  const sse = await readEvents(sseUrl("topic=x"));

  await publishToTopic(bus, "x", "not the first", [["Except", protocols[0].welcome.connection]]);
  await publishToTopic(bus, "x", "not the stream", [["Except", sse.address()]]);
  const address = protocols[0].welcome.connection;
  const subject = `fanwire.live.connection.${address}`;
  const headers = [["Except", address]] as const;
  const targeted = await bus.request(subject, Buffer.from("not itself"), { timeoutMs: 5_000, headers });
  await publishToTopic(bus, "x", "end");

  expect(targeted.ok && Buffer.from(targeted.message.data).toString()).toBe('{"outcome":"no-connection"}');
  await until(
    "all receive the last publication",
    () => protocols.every((protocol) => protocol.data().at(-1) === "end") && sse.events().at(-1)?.data === "end",
  );
  expect(protocols[0].data()).toEqual(["not the stream", "end"]);
  expect(protocols[1].data()).toEqual(["not the first", "not the stream", "end"]);
  expect(sse.data()).toEqual(["not the first", "end"]);
});
