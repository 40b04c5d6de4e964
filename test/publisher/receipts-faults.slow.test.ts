import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPublisher, startPusher, type TestPublisher, type TestPusher, untilReady } from "../support/cluster.ts";
import { postPublication } from "../support/http-api.ts";
import { startNatsCluster, type TestNatsCluster } from "../support/nats-cluster.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 12;

type Receipt = { readonly delivered: number; readonly buffered: number; readonly complete: boolean };
type Received = { readonly data: string; readonly receipt: Receipt };

const env = { PUSHER_WORKERS: "1", PUSHER_DRAIN_SECONDS: "1", FANWIRE_HISTORY_REPLICAS: "3" };

/** Starts pushers that are replaced while the test runs. */
async function startPushers(nats: string) {
  const running: TestPusher[] = [];
  const start = async () => void running.push(await startPusher({ nats, env }));
  for (let count = 0; count < 3; count++) await start();
  return {
    running,
    /** Ends the first pusher and starts another in its place. */
    replace: async (signal: NodeJS.Signals) => {
      const ended = running.shift();
      await Promise.all([ended?.process.stop(signal), start()]);
    },
    [Symbol.asyncDispose]: async () => {
      for (const pusher of running) await pusher[Symbol.asyncDispose]();
    },
  };
}

type Pushers = Awaited<ReturnType<typeof startPushers>>;

/** Keeps one connection open until `isOver`. Reconnects when it is closed. Adds every connection to `all`. */
async function stayConnected(at: number, { running }: Pushers, all: RawClient[], isOver: () => boolean) {
  let client: RawClient | undefined;
  // The delay limits the rate of connection attempts.
  for (; !isOver(); await delay(20)) {
    if (client !== undefined && client.close === undefined) continue;
    const url = running[at % Math.max(1, running.length)]?.url;
    client = url === undefined ? undefined : await connectRawClient(url).catch(() => undefined);
    if (client !== undefined) all.push(client);
  }
  client?.socket.terminate();
}

/** Publishes with receipts, one after the other, until `isOver`. */
async function publishWhile(
  publisher: TestPublisher,
  name: string,
  durable: boolean,
  receipts: Received[],
  isOver: () => boolean,
) {
  for (let number = 0; !isOver(); number++) {
    const data = `${name}-${number}`;
    const publication = { target: { everyone: true }, data, durable, receipt: true };
    const { receipt } = (await postPublication<{ receipt?: Receipt }>(publisher, publication)).body;
    if (receipt !== undefined) receipts.push({ data, receipt });
    await delay(10); // sets the rate of the load
  }
}

/** Waits for `count` more receipts, so that the cluster is under load in between. */
async function moreReceipts(receipts: readonly Received[], count = 20): Promise<void> {
  const wanted = receipts.length + count;
  await until("more receipts arrive", () => receipts.length >= wanted);
}

async function breakThings(cluster: TestNatsCluster, pushers: Pushers, receipts: readonly Received[]): Promise<void> {
  for (const [at, node] of cluster.nodes.entries()) {
    await moreReceipts(receipts);
    await pushers.replace(at % 2 === 0 ? "SIGTERM" : "SIGKILL");
    await node.stop("SIGKILL");
    await pushers.replace(at % 2 === 0 ? "SIGKILL" : "SIGTERM");
    await moreReceipts(receipts);
    await node.restart();
    for (const { adminUrl } of pushers.running) await untilReady(adminUrl);
  }
}

test("no complete receipt counts too few connections while pushers restart and NATS nodes are killed", async () => {
  await using cluster = await startNatsCluster();
  const nats = cluster.urls.join(",");
  await using pushers = await startPushers(nats);
  await using publisher = await startPublisher({ nats, env: { FANWIRE_HISTORY_REPLICAS: "3" } });
  const connections: RawClient[] = [];
  const receipts: Received[] = [];
  const isOver = { publishing: false, receiving: false };
  const receiving = Array.from({ length: CLIENTS }, (_, at) =>
    stayConnected(at, pushers, connections, () => isOver.receiving),
  );
  await until("all clients are connected", () => connections.length === CLIENTS);
  const publishing = ["a", "b", "durable"].map((name) =>
    publishWhile(publisher, name, name === "durable", receipts, () => isOver.publishing),
  );

  await breakThings(cluster, pushers, receipts);
  const before = receipts.length;
  await until("receipts are complete again", () => receipts.slice(before).some(({ receipt }) => receipt.complete));
  isOver.publishing = true;
  await Promise.all(publishing);
  isOver.receiving = true;
  await Promise.all(receiving);

  const complete = receipts.filter(({ receipt }) => receipt.complete);
  const wrong = complete
    .map(({ data, receipt }) => ({
      data,
      counted: receipt.delivered + receipt.buffered,
      received: connections.filter(({ frames }) => frames.includes(data)).length,
    }))
    .filter(({ counted, received }) => counted < received);
  expect(wrong).toEqual([]);
  expect(complete.length).toBeGreaterThan(10);
  expect(complete.length).toBeLessThan(receipts.length);
}, 120_000);

test("deduplication: simultaneous publications with one id are stored once and answered with one position", async () => {
  await using cluster = await startNatsCluster();
  const publishers = await Promise.all(
    cluster.urls.map((nats) => startPublisher({ nats, env: { FANWIRE_HISTORY_REPLICAS: "3" } })),
  );
  const copies = [...publishers, ...publishers, ...publishers];
  /** Publishes three times by each publisher at the same time. */
  const publish = async (id: string) => {
    const publication = { target: { topic: "one" }, data: "x", durable: true, id };
    type Answer = { status: string; position: string; duplicate?: true };
    return Promise.all(copies.map(async (to) => (await postPublication<Answer>(to, publication)).body));
  };
  await until("there is a history", async () => (await publish("first")).every(({ status }) => status === "stored"));

  for (let round = 0; round < 20; round++) {
    const answers = await publish(`id-${round}`);

    expect(answers.map(({ status }) => status)).toEqual(copies.map(() => "stored"));
    expect(new Set(answers.map(({ position }) => position)).size).toBe(1);
    expect(answers[0]?.position).not.toMatch(/-0$/);
    expect(answers.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1);
  }
  await Promise.all(publishers.map((publisher) => publisher[Symbol.asyncDispose]()));
});
