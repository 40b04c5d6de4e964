import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPublisher, startPusher, type TestPublisher, type TestPusher, untilReady } from "../support/cluster.ts";
import { startNatsCluster, type TestNatsCluster } from "../support/nats-cluster.ts";
import { connectRawClient, type RawClient } from "../support/raw-client.ts";
import { until } from "../support/wait.ts";

const CLIENTS = 12;

type Receipt = { readonly delivered: number; readonly buffered: number; readonly complete: boolean };
type Received = { readonly data: string; readonly receipt: Receipt };

const env = { PUSHER_WORKERS: "1", PUSHER_DRAIN_SECONDS: "1", FANWIRE_HISTORY_REPLICAS: "3" };

/** Pushers that are replaced while the test runs. */
class Pushers {
  readonly running: TestPusher[] = [];
  readonly #nats: string;

  constructor(nats: string) {
    this.#nats = nats;
  }

  async start(): Promise<void> {
    this.running.push(await startPusher({ nats: this.#nats, env }));
  }

  /** Ends the first pusher and starts another in its place. */
  async replace(signal: NodeJS.Signals): Promise<void> {
    const ended = this.running.shift();
    const another = this.start();
    await ended?.process.stop(signal);
    await another;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.running.map((pusher) => pusher[Symbol.asyncDispose]()));
  }
}

/** Connections that reconnect when they are closed. Keeps what each has received. */
class Crowd {
  readonly all: RawClient[] = [];
  readonly #pushers: Pushers;
  #isOver = false;

  constructor(pushers: Pushers) {
    this.#pushers = pushers;
  }

  run(): Promise<void>[] {
    return Array.from({ length: CLIENTS }, (_, at) => this.#stayConnected(at));
  }

  stop(): void {
    this.#isOver = true;
  }

  countOf(data: string): number {
    return this.all.filter(({ frames }) => frames.includes(data)).length;
  }

  async #stayConnected(at: number): Promise<void> {
    let client: RawClient | undefined;
    // The delay limits the rate of connection attempts.
    for (; !this.#isOver; await delay(20)) {
      if (client !== undefined && client.close === undefined) continue;
      const { running } = this.#pushers;
      const url = running[at % Math.max(1, running.length)]?.url;
      client = url === undefined ? undefined : await connectRawClient(url).catch(() => undefined);
      if (client !== undefined) this.all.push(client);
    }
    client?.socket.terminate();
  }
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
    const response = await fetch(`${publisher.url}/v1/publications`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ target: { everyone: true }, data, durable, receipt: true }),
    });
    const { receipt } = (await response.json()) as { receipt?: Receipt };
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
  await using pushers = new Pushers(nats);
  for (let count = 0; count < 3; count++) await pushers.start();
  await using publisher = await startPublisher({ nats, env: { FANWIRE_HISTORY_REPLICAS: "3" } });
  const crowd = new Crowd(pushers);
  const connecting = crowd.run();
  await until("all clients are connected", () => crowd.all.length === CLIENTS);
  const receipts: Received[] = [];
  let isOver = false;
  const publishing = ["a", "b", "durable"].map((name) =>
    publishWhile(publisher, name, name === "durable", receipts, () => isOver),
  );

  await breakThings(cluster, pushers, receipts);
  const before = receipts.length;
  await until("receipts are complete again", () => receipts.slice(before).some(({ receipt }) => receipt.complete));
  isOver = true;
  await Promise.all(publishing);
  crowd.stop();
  await Promise.all(connecting);

  const complete = receipts.filter(({ receipt }) => receipt.complete);
  const wrong = complete
    .map(({ data, receipt }) => ({
      data,
      counted: receipt.delivered + receipt.buffered,
      received: crowd.countOf(data),
    }))
    .filter(({ counted, received }) => counted < received);
  expect(wrong).toEqual([]);
  expect(complete.length).toBeGreaterThan(10);
  expect(complete.length).toBeLessThan(receipts.length);
}, 120_000);

test("deduplication: simultaneous publications with one id are stored once and answered with one position", async () => {
  await using cluster = await startNatsCluster();
  const urls = cluster.urls.map((nats) => startPublisher({ nats, env: { FANWIRE_HISTORY_REPLICAS: "3" } }));
  const publishers = await Promise.all(urls);
  const publish = async ({ url }: TestPublisher, id: string) => {
    const response = await fetch(`${url}/v1/publications`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ target: { topic: "one" }, data: "x", durable: true, id }),
    });
    return (await response.json()) as { status: string; position: string; duplicate?: true };
  };
  await until(
    "there is a history",
    async () => (await publish(publishers[0] as TestPublisher, "first")).status === "stored",
  );

  for (let round = 0; round < 20; round++) {
    const copies = [...publishers, ...publishers, ...publishers];
    const answers = await Promise.all(copies.map((publisher) => publish(publisher, `id-${round}`)));

    expect(answers.map(({ status }) => status)).toEqual(copies.map(() => "stored"));
    expect(new Set(answers.map(({ position }) => position)).size).toBe(1);
    expect(answers[0]?.position).not.toMatch(/-0$/);
    expect(answers.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1);
  }
  await Promise.all(publishers.map((publisher) => publisher[Symbol.asyncDispose]()));
});
