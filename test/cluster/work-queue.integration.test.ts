import { once } from "node:events";
import { createConnection } from "node:net";
import { JetStreamWorkQueue, type NatsBus, type WorkItem } from "@fanwire/bus";
import { createLog } from "@fanwire/service";
import { afterAll, expect, test } from "vitest";
import { connectBus } from "../support/bus.ts";
import { enqueue, finishAll, testWorkQueueContract, textOf } from "../support/contracts/work-queue.ts";
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
  const bus = await connectBus(nats.url);
  buses.push(bus);
  return new JetStreamWorkQueue(bus, { stream, subjects, maxBytes, maxAgeMs: 0, replicas: 1 }, log);
}

testWorkQueueContract(openQueues);

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

test("after NATS restarted, consumers continue and acknowledgements are repeated", async () => {
  const queues = await openQueues();
  const { taker, got } = finishAll(queues, "away");
  await enqueue(queues, "queue.away", "before");
  await until("the publication arrives", () => got.length === 1);
  const held: WorkItem[] = [];
  const holder = queues.take("queue.held", "held", (item) => held.push(item));
  holder.want(1);
  await enqueue(queues, "queue.held", "finished while NATS is away");
  await until("the other item arrives", () => held.length === 1);

  await nats.stop();
  held[0]?.acknowledge();
  await nats.restart();
  await until("an item is stored", async () => (await queues.enqueue("queue.away", Buffer.from("after"), "after")).ok);

  await until("the publication arrives", () => got.length === 2);
  expect(got).toEqual(["before", "after"]);
  await until("the finished item is deleted", async () => {
    const wanted = Buffer.from(JSON.stringify({ last_by_subj: "queue.held" }));
    const reply = await buses[0]?.request("$JS.API.STREAM.MSG.GET.TEST_QUEUES", wanted, { timeoutMs: 1_000 });
    return reply?.ok && Buffer.from(reply.message.data).toString().includes("no message found");
  });
  for (const each of [taker, holder]) each.stop();
});

test("a message in a taker's inbox whose headers cannot be decoded does not end the connection", async () => {
  const queues = await openQueues();
  const [spy] = buses;
  const inboxes: string[] = [];
  spy?.subscribe("$JS.API.CONSUMER.MSG.NEXT.TEST_QUEUES.odd", ({ reply = "" }) => inboxes.push(reply));
  await spy?.confirm();
  const { taker, got } = finishAll(queues, "odd");
  await enqueue(queues, "queue.odd", "first");
  await until("the next item is requested", () => got.length === 1 && inboxes.length === 2);

  const head = "NATS/1.0\r\nnot a name: 1\r\n\r\n";
  const socket = createConnection(nats.port, "127.0.0.1");
  socket.end(
    `CONNECT {"verbose":false,"headers":true}\r\nHPUB ${inboxes[1]} ${head.length} ${head.length}\r\n${head}\r\n`,
  );
  await once(socket.resume(), "close");
  await enqueue(queues, "queue.odd", "second");

  await until("the next item arrives", () => got.length === 2);
  expect(got).toEqual(["first", "second"]);
  taker.stop();
});

test("no consumer is created for a taker that stops, or wants nothing, in the tick in which it began", async () => {
  const queues = await openQueues();
  const [spy] = buses;
  const requests: string[] = [];
  spy?.subscribe("$JS.API.CONSUMER.>", ({ subject }) => requests.push(subject));
  await spy?.confirm();
  const stopped = finishAll(queues, "stopped");
  stopped.taker.stop();
  const unwanted = finishAll(queues, "unwanted");
  unwanted.taker.want(0);
  const last = finishAll(queues, "last");

  await enqueue(queues, "queue.last", "1");
  await until("the last consumer is created", () => last.got.length === 1);
  await spy?.confirm();

  expect(requests.filter((subject) => /stopped|unwanted/.test(subject))).toEqual([]);
  expect(requests.some((subject) => subject.includes("last"))).toBe(true);
  for (const { taker } of [unwanted, last]) taker.stop();
});

test("an item that NATS redelivers while it is in flight reaches its taker once, and is acknowledged", async () => {
  const queues = await openQueues();
  const [spy] = buses;
  const deliveries: string[] = [];
  spy?.subscribe("_INBOX.>", ({ reply = "" }) => {
    if (reply.startsWith("$JS.ACK.TEST_QUEUES.again.")) deliveries.push(reply);
  });
  await spy?.confirm();
  const got: WorkItem[] = [];
  const taker = queues.take("queue.again", "again", (item) => got.push(item));
  taker.want(1);
  await enqueue(queues, "queue.again", "first");
  await until("the item arrives", () => got.length === 1 && deliveries.length === 1);

  taker.want(1);
  await spy?.publish(deliveries[0] ?? "", Buffer.from("-NAK"));
  await until("NATS redelivers it", () => deliveries.length === 2);
  got[0]?.acknowledge();
  await enqueue(queues, "queue.again", "second");

  await until("the next item arrives", () => got.length >= 2);
  expect(got.map(textOf)).toEqual(["first", "second"]);
  taker.stop();
});
