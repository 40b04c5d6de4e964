import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeWorkers } from "../support/bus.ts";
import { metric, startPublisher, startPusher, type TestPusher, untilReady } from "../support/cluster.ts";
import { readEvents } from "../support/event-stream.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { postPublication } from "../support/http-api.ts";
import { startLink } from "../support/link.ts";
import { startNats } from "../support/nats.ts";
import { isRunning } from "../support/process.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const DEADLINE_MS = 5_000;
const env = { PUSHER_TOKEN_SECRET: SECRET, PUSHER_PUBLIC_TOPICS: ">" };

type Receipt = {
  readonly delivered: number;
  readonly buffered: number;
  readonly workers: number;
  readonly missing: number;
  readonly complete: boolean;
};
type Answer = { readonly status: string; readonly position?: string; readonly receipt: Receipt };

const { nats, bus, pushers, publisher } = useCluster({
  pusher: env,
  publisher: { PUBLISHER_RECEIPT_TIMEOUT_MS: String(DEADLINE_MS) },
});

async function post<Body>(publication: unknown): Promise<Body> {
  const { status, body } = await postPublication<Body>(publisher, publication);
  expect(status).toBe(200);
  return body;
}

/** Publishes to a target and returns the receipt. */
async function receiptOf(target: unknown, more: Record<string, unknown> = {}): Promise<Receipt> {
  return (await post<Answer>({ target, data: "x", receipt: true, ...more })).receipt;
}

const ofAll = (delivered: number, buffered = 0): Receipt => ({
  delivered,
  buffered,
  workers: 4,
  missing: 0,
  complete: true,
});

const connectBy = {
  raw: ({ url }: TestPusher, query: string) => connectRawClient(`${url}?${query}`),
  "fanwire.v1": async ({ url }: TestPusher, query: string) => {
    const { socket, welcome } = await connectFanwire(`${url}?${query}`);
    return { socket, address: welcome.connection };
  },
  sse: async ({ sseUrl }: TestPusher, query: string) => {
    const { response, address } = await readEvents(`${sseUrl}?${query}`);
    return { socket: response.socket, address: address() };
  },
};

/** Opens one connection of each protocol on each pusher, and no others are open. Returns their addresses. */
async function connectByEachProtocol(query: Record<string, string>): Promise<string[]> {
  await until("connections of earlier tests are closed", async () => (await openConnections()) === 0);
  const search = String(new URLSearchParams(query));
  const opened = pushers.flatMap((pusher) => Object.values(connectBy).map((connect) => connect(pusher, search)));
  return (await Promise.all<{ readonly address: string }>(opened)).map(({ address }) => address);
}

async function openConnections(): Promise<number> {
  const counts = await Promise.all(pushers.map(({ adminUrl }) => metric(adminUrl, "fanwire_pusher_connections")));
  return counts.reduce((sum, count) => sum + count, 0);
}

test.each([
  ["live", false],
  ["durable", true],
])("a receipt counts the connections of every worker and protocol for each kind of target: %s", async (_, durable) => {
  const token = await signToken({ sub: "anna" });
  const [address] = await connectByEachProtocol({ topic: "orders.7", token });

  expect(await receiptOf({ everyone: true }, { durable })).toEqual(ofAll(6));
  expect(await receiptOf({ topic: "orders.7" }, { durable })).toEqual(ofAll(6));
  expect(await receiptOf({ topic: "orders.8" }, { durable })).toEqual(ofAll(0));
  expect(await receiptOf({ topics: ["orders.7", "orders.8"] }, { durable })).toEqual(ofAll(6));
  expect(await receiptOf({ user: "anna" }, { durable })).toEqual(ofAll(6));
  expect(await receiptOf({ user: "bert" }, { durable })).toEqual(ofAll(0));
  for (const target of [{ everyone: true }, { topic: "orders.7" }, { user: "anna" }]) {
    expect(await receiptOf(target, { durable, except: address })).toEqual(ofAll(5));
  }
});

test("a receipt for one connection needs the answer of its worker only", async () => {
  const client = await connectRawClient(pushers[0].url);

  const answer = await post<Answer>({ target: { connection: client.address }, data: "x", receipt: true });

  expect(answer).toEqual({ status: "delivered", receipt: { ...ofAll(1), workers: 1 } });
});

test("a receipt counts a connection once for each matching subscription", async () => {
  const client = await connectFanwire(pushers[0].url, { topic: ["twice.a", "twice.*", "twice.b"] });

  expect(await receiptOf({ topic: "twice.a" })).toEqual(ofAll(2));
  expect(await receiptOf({ topics: ["twice.a", "twice.b"] })).toEqual(ofAll(4));
  expect(await receiptOf({ topic: "twice.a" }, { durable: true })).toEqual(ofAll(2));
  await until("all publications arrive", () => client.publications.length === 8);
});

test("each publication of a batch has the receipt that it asked for", async () => {
  await connectRawClient(`${pushers[0].url}?topic=batch.a`);

  const { results } = await post<{ results: Answer[] }>([
    ...Array.from({ length: 50 }, () => ({ target: { topic: "batch.a" }, data: "x", receipt: true })),
    { target: { topic: "batch.b" }, data: "x", receipt: true },
    { target: { topic: "batch.a" }, data: "x" },
    { target: { topic: "batch.a" }, data: "x", durable: true, receipt: true },
  ]);

  expect(results.slice(0, 50).map(({ receipt }) => receipt)).toEqual(Array(50).fill(ofAll(1)));
  expect(results.slice(50)).toEqual([
    { status: "published", receipt: ofAll(0) },
    { status: "published" },
    { status: "stored", position: expect.any(String), receipt: ofAll(1) },
  ]);
});

test("a receipt counts exactly the connections that receive the publication while they connect", async () => {
  const target = { topic: "arriving" };
  const receipts: Receipt[] = [];
  let hasAllConnected = false;
  const publishing = (async () => {
    while (!hasAllConnected) {
      receipts.push(await receiptOf(target, { durable: true, data: String(receipts.length) }));
    }
  })();
  // Each waits for NATS, because its worker has no other client with its second topic.
  const clients = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      await delay(n * 5);
      return connectFanwire(pushers[n % 2 === 0 ? 0 : 1].url, { topic: ["arriving", `arriving.${n}`] });
    }),
  );
  hasAllConnected = true;
  await publishing;
  await receiptOf(target, { durable: true, data: "the end" });
  await until("the last publication arrives", () => clients.every((client) => client.data().includes("the end")));

  const received = clients.flatMap((client) => client.data());
  const complete = receipts.flatMap((receipt, n) => (receipt.complete ? { n, ...receipt } : []));
  expect(complete.length).toBeGreaterThan(receipts.length / 2);
  const wrong = complete.filter(({ n, delivered }) => delivered !== received.filter((data) => data === `${n}`).length);
  expect(wrong).toEqual([]);
});

test("deduplication: a duplicate is not delivered again and has no receipt", async () => {
  const publication = { target: { topic: "again" }, data: "x", durable: true, id: "1", receipt: true };

  const first = await post<Answer>(publication);
  const second = await post<Answer>(publication);

  expect(first).toEqual({ status: "stored", position: first.position, receipt: ofAll(0) });
  expect(second).toEqual({ status: "stored", position: first.position, duplicate: true });
});

test.each(Object.entries(connectBy))("a receipt counts a slow consumer as buffered: %s", async (protocol, connect) => {
  const topic = `slow.${protocol}`;
  await connectRawClient(`${pushers[0].url}?topic=${topic}`);
  const slow = await connect(pushers[0], `topic=${topic}`);
  slow.socket.pause();

  const receipt = await until("the socket buffers are full", async () => {
    const found = await receiptOf({ topic }, { data: "x".repeat(200_000) });
    expect(found.delivered + found.buffered).toBe(2);
    return found.buffered > 0 && found;
  });

  expect(receipt).toEqual(ofAll(1, 1));
  expect(await receiptOf({ topic }, { except: slow.address })).toEqual(ofAll(1));
});

test("a receipt reports a worker that hangs as missing, waits for it only once, and counts it again afterwards", async () => {
  await connectByEachProtocol({ topic: "hang" });
  const [victim] = await describeWorkers(bus);
  if (victim === undefined) throw new Error("no worker answered");
  const incomplete = () => metric(publisher.adminUrl, "fanwire_publisher_receipts_total", { outcome: "incomplete" });
  const before = await incomplete();
  expect(await receiptOf({ topic: "hang" })).toEqual(ofAll(6));

  process.kill(victim.pid, "SIGSTOP");
  const late = await until("the process hangs", async () => {
    const timed = await timedReceipt({ topic: "hang" });
    return !timed.receipt.complete && timed;
  });
  const next = await timedReceipt({ topic: "hang" });

  const lost = { ...ofAll(6 - victim.connections), workers: 3, missing: 1, complete: false };
  expect(late.receipt).toEqual(lost);
  expect(late.ms).toBeGreaterThanOrEqual(DEADLINE_MS - 10);
  expect(late.ms).toBeLessThan(2 * DEADLINE_MS);
  expect(next.receipt).toEqual(lost);
  expect(next.ms).toBeLessThan(DEADLINE_MS);
  expect(await incomplete()).toBe(before + 2);

  process.kill(victim.pid, "SIGCONT");
  await until("the worker is counted again", async () => {
    const { delivered, complete } = await receiptOf({ topic: "hang" });
    return delivered === 6 && complete;
  });
});

async function timedReceipt(target: unknown): Promise<{ receipt: Receipt; ms: number }> {
  const startedAt = performance.now();
  const receipt = await receiptOf(target);
  return { receipt, ms: performance.now() - startedAt };
}

test("a receipt does not wait for a killed worker, and counts workers that have just started", async () => {
  const [victim] = await describeWorkers(bus);
  if (victim === undefined) throw new Error("no worker answered");
  expect(await receiptOf({ topic: "deaths" })).toEqual(ofAll(0));

  process.kill(victim.pid, "SIGKILL");
  // Until the worker has ended, NATS may deliver to it, so that it would be missing.
  await until("the worker has ended", () => !isRunning(victim.pid));
  const { receipt, ms } = await timedReceipt({ topic: "deaths" });
  await using another = await startPusher({ nats: nats.url, env });
  await connectRawClient(`${another.url}?topic=deaths`);

  expect(receipt).toMatchObject({ missing: 0, complete: true });
  expect(ms).toBeLessThan(DEADLINE_MS);
  await until("all workers are counted, and the replacement of the killed one", async () => {
    const { workers, delivered, complete } = await receiptOf({ topic: "deaths" });
    return workers === 6 && delivered === 1 && complete;
  });
});

test("a receipt does not count a publication that a worker holds back until a gap is repaired", async () => {
  await using link = await startLink(nats.port, { readsNats: true });
  await using behind = await startPusher({ nats: link.url, env: { ...env, PUSHER_WORKERS: "1" } });
  const client = await connectFanwire(behind.url, { topic: "held" });
  const target = { topic: "held" };
  await until("the connection is counted", async () => (await receiptOf(target, { durable: true })).delivered === 1);

  // The worker may repair the gap at once. Then the receipt must count the delivery, and the test loses another
  // publication.
  let attempts = 0;
  const received = () => client.data().filter((data) => data === "lost").length;
  const lost = await until("a publication is held back", async () => {
    attempts++;
    link.drop = (subject) => subject.endsWith(".topic.held");
    const receipt = await receiptOf(target, { durable: true, data: "lost" });
    link.drop = () => false;
    if (receipt.delivered === 0) return receipt;
    await until("the delivered publication arrives", () => received() === attempts);
    return false;
  });

  expect(lost).toMatchObject({ delivered: 0, missing: 1, complete: false });
  await until("the publication arrives from the history", () => received() === attempts);
  expect(await receiptOf(target, { durable: true })).toMatchObject({ delivered: 1, missing: 0, complete: true });
});

test("a receipt is not complete while a worker without subscribers is behind, because later ones start there", async () => {
  const target = { topic: "idle" };
  const { workers } = await receiptOf(target);
  await using link = await startLink(nats.port, { readsNats: true });
  await using behind = await startPusher({ nats: link.url, env: { ...env, PUSHER_WORKERS: "1" } });
  const isCounted = async () => (await receiptOf(target, { durable: true })).workers === workers + 1;
  await until("the worker is counted", isCounted);

  // Entries of the history have this header, because the worker asks for headers alone.
  link.drop = (_subject, message) => message.includes("Nats-Msg-Size");
  const receipt = await receiptOf(target, { durable: true, data: "early" });
  const client = await connectFanwire(behind.url, target);
  link.drop = () => false;

  expect(receipt).toMatchObject({ delivered: 0, missing: 1, complete: false });
  await until("the client that subscribed later receives it", () => client.data().includes("early"));
  await until("the worker is counted again", isCounted);
});

test("the first receipt is complete when JetStream became available after the worker had started", async () => {
  const without = await startNats([], { jetStream: false });
  await using publisher = await startPublisher({ nats: without.url });
  await using pusher = await startPusher({ nats: without.url, env: { PUSHER_WORKERS: "1" } });
  const { port } = without;
  await without[Symbol.asyncDispose]();
  await using nats = await startNats(["-p", String(port)]);
  expect(nats.port).toBe(port);
  await Promise.all([untilReady(publisher.adminUrl), untilReady(pusher.adminUrl)]);

  const publication = { target: { topic: "orders" }, data: "x", durable: true, receipt: true };
  expect((await postPublication(publisher, publication)).body).toMatchObject({
    status: "stored",
    receipt: { workers: 1, missing: 0, complete: true },
  });
});
