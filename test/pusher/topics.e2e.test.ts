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

test("fan-out: a topic reaches the subscribers of every protocol once for each matching subscription, and no other connection", async () => {
  const raw = await connectRawClient(`${pusher.url}?topic=news.sport`);
  const patterns = await connectRawClient(`${pusher.url}?topic=news.*&topic=news.%3E&topic=other`);
  const unsubscribed = await connectRawClient(pusher.url);
  const fanwire = await connectFanwire(pusher.url, { topic: ["news.sport", "news.*"] });
  const sse = await readEvents(`${pusher.sseUrl}?topic=news.sport`);

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

test("a handshake with too many topics is refused, and a subscription over the limit leaves its connection open", async () => {
  await expect(connectFanwire(pusher.url, { topic: ["1", "2", "3", "4", "5", "6"] })).rejects.toThrow("4400");
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
  const subjectsOfAll = Array.from({ length: 2 * open }, (_, at) => topicsOf(at))
    .flat()
    .map((topic) => subjects.live({ kind: "topic", topic }));

  for (const number of numbers) {
    void bus.publishAll(subjectsOfAll.map((subject) => ({ subject, content: Buffer.from(number) })));
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
  const excepted = await connectFanwire(pusher.url, { topic: "x" });
  const other = await connectFanwire(pusher.url, { topic: "x" });
  const sse = await readEvents(`${pusher.sseUrl}?topic=x`);
  const address = excepted.welcome.connection;

  await publishToTopic(bus, "x", "not the first", [["Except", address]]);
  await publishToTopic(bus, "x", "not the stream", [["Except", sse.address()]]);
  const targeted = await bus.request(`fanwire.live.connection.${address}`, Buffer.from("not itself"), {
    timeoutMs: 5_000,
    headers: [["Except", address]],
  });
  await publishToTopic(bus, "x", "end");

  expect(targeted.ok && Buffer.from(targeted.message.data).toString()).toBe('{"outcome":"no-connection"}');
  await until("all receive the last publication", () =>
    [excepted, other, sse].every((client) => client.data().at(-1) === "end"),
  );
  expect(excepted.data()).toEqual(["not the stream", "end"]);
  expect(other.data()).toEqual(["not the first", "not the stream", "end"]);
  expect(sse.data()).toEqual(["not the first", "end"]);
});
