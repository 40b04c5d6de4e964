import { JetStreamWorkQueue, type NatsBus, startNatsBus, type Taker, type WorkItem } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { afterAll, expect, test } from "vitest";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const log = createLog("test", "silent");
const { nats } = useCluster();
const buses: NatsBus[] = [];
afterAll(() => Promise.all(buses.map((bus) => bus.stop())));

/** Opens queues on a separate connection, as a separate process does. */
async function openQueues(
  maxBytes = 10_000_000,
  stream = "TEST_QUEUES",
  subjects = "queue.>",
): Promise<JetStreamWorkQueue> {
  const bus = await startNatsBus({
    config: { servers: [nats.url], prefix: "fanwire", credentials: { kind: "none" }, tls: undefined },
    name: "test",
    log,
    signal: AbortSignal.timeout(20_000),
  });
  buses.push(bus);
  return new JetStreamWorkQueue(bus, { stream, subjects, maxBytes, maxAgeMs: 0, replicas: 1 }, log);
}

const textOf = ({ content }: WorkItem) => Buffer.from(content).toString();
let ids = 0;
const enqueue = (queues: JetStreamWorkQueue, subject: string, text: string) =>
  queues.enqueue(subject, Buffer.from(text), `id ${++ids}`);

/** Takes items one at a time, and acknowledges each. */
function finishAll(queues: JetStreamWorkQueue, name: string): { taker: Taker; got: string[] } {
  const got: string[] = [];
  const taker = queues.take(`queue.${name}`, name, (item) => {
    got.push(textOf(item));
    item.finish();
    taker.want(1);
  });
  taker.want(1);
  return { taker, got };
}

test("items are stored in order, and each is delivered to one consumer of any process", async () => {
  const [one, other] = await Promise.all([openQueues(), openQueues()]);
  const texts = Array.from({ length: 500 }, (_, at) => String(at));
  const outcomes = await Promise.all(texts.map((text) => enqueue(one, "queue.shared", text)));
  expect(outcomes.every(({ ok }) => ok)).toBe(true);

  const takers = [finishAll(one, "shared"), finishAll(other, "shared")];
  await until("all items are taken", () => takers.reduce((sum, { got }) => sum + got.length, 0) >= texts.length);

  expect(takers.flatMap(({ got }) => got).sort()).toEqual([...texts].sort());
  for (const { got, taker } of takers) {
    expect(got).toEqual(got.toSorted((a, b) => Number(a) - Number(b)));
    expect(got.length).toBeGreaterThan(0);
    taker.stop();
  }
});

test("a consumer takes as many items as it wants, and none before", async () => {
  const queues = await openQueues();
  const got: string[] = [];
  const taker = queues.take("queue.wanted", "wanted", (item) => {
    got.push(textOf(item));
    item.finish();
  });
  for (const text of ["1", "2", "3"]) await enqueue(queues, "queue.wanted", text);
  expect(got).toEqual([]);

  taker.want(2);
  await until("two items arrive", () => got.length === 2);
  await enqueue(queues, "queue.wanted", "4");
  expect(got).toEqual(["1", "2"]);
  taker.stop();
});

test("a returned item is redelivered before later items, marked as repeated", async () => {
  const [one, other] = await Promise.all([openQueues(), openQueues()]);
  const held: WorkItem[] = [];
  const holder = one.take("queue.back", "back", (item) => held.push(item));
  holder.want(1);
  for (const text of ["first", "second"]) await enqueue(one, "queue.back", text);
  const item = await until("the publication arrives", () => held[0]);
  expect([textOf(item), item.isRepeated]).toEqual(["first", false]);
  expect(Math.abs(item.storedAt - Date.now())).toBeLessThan(20_000);

  holder.stop();
  item.giveBack();
  const got: [string, boolean][] = [];
  const taker = other.take("queue.back", "back", (again) => {
    got.push([textOf(again), again.isRepeated]);
    again.finish();
    taker.want(1);
  });
  taker.want(1);

  await until("both publications arrive", () => got.length === 2);
  expect(got.map(([text]) => text).sort()).toEqual(["first", "second"]);
  expect(got.find(([text]) => text === "first")).toEqual(["first", true]);
  taker.stop();
});

test("a consumer that wants none or has stopped takes no item from others", async () => {
  const [one, other] = await Promise.all([openQueues(), openQueues()]);
  await enqueue(one, "queue.left", "prepares the consumer");
  const first = finishAll(one, "left");
  await until("the publication arrives", () => first.got.length === 1);
  first.taker.want(3);
  first.taker.want(0);
  const second = finishAll(one, "left");
  second.taker.stop();
  const last = finishAll(other, "left");

  for (const text of ["1", "2", "3"]) await enqueue(one, "queue.left", text);

  await until("all publications arrive", () => last.got.length === 3, 5_000);
  expect(last.got).toEqual(["1", "2", "3"]);
  last.taker.stop();
});

test("deduplication: an item that is enqueued twice under one id is stored once", async () => {
  const queues = await openQueues();
  for (let tries = 0; tries < 3; tries++) {
    expect(await queues.enqueue("queue.twice", Buffer.from("once"), "the same")).toEqual({ ok: true });
  }
  await enqueue(queues, "queue.twice", "last");

  const { taker, got } = finishAll(queues, "twice");
  await until("the last publication arrives", () => got.includes("last"));
  expect(got).toEqual(["once", "last"]);
  taker.stop();
});

test("a full stream refuses new items and keeps old ones", async () => {
  const queues = await openQueues(100_000, "TEST_FULL", "full.>");
  const outcomes = [];
  for (let at = 0; at < 20; at++) outcomes.push(await queues.enqueue("full.a", new Uint8Array(10_000), `full ${at}`));

  expect(outcomes.filter(({ ok }) => ok).length).toBeLessThan(11);
  expect(outcomes.at(-1)).toMatchObject({
    ok: false,
    reason: "unavailable",
    detail: expect.stringContaining("maximum bytes"),
  });
  const tooLarge = await queues.enqueue("full.a", new Uint8Array(2_000_000), "too large");
  expect(tooLarge).toMatchObject({ ok: false, reason: "too-large" });
});

test("consumers continue after NATS restarted", async () => {
  const queues = await openQueues();
  const { taker, got } = finishAll(queues, "away");
  await enqueue(queues, "queue.away", "before");
  await until("the publication arrives", () => got.length === 1);

  await nats.stop();
  await nats.restart();
  await until("an item is stored", async () => (await queues.enqueue("queue.away", Buffer.from("after"), "after")).ok);

  await until("the publication arrives", () => got.length === 2);
  expect(got).toEqual(["before", "after"]);
  taker.stop();
});
