import { expect, test } from "vitest";
import { askWorker, describeWorkers } from "../support/bus.ts";
import { connectPeer } from "../support/channel-peer.ts";
import {
  readiness,
  startChannel,
  startPublisher,
  startPusher,
  type TestPublisher,
  untilReady,
} from "../support/cluster.ts";
import { callApi } from "../support/http-api.ts";
import { startLink } from "../support/link.ts";
import { connectRawClient } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

type Answer = {
  readonly status: number;
  readonly code: string | undefined;
  readonly body: Record<string, unknown> & { error?: { code: string } };
};
type Receipt = { readonly workers: number; readonly missing: number; readonly complete: boolean };

const { nats, bus, publisher } = useCluster({ publisher: { PUBLISHER_REQUEST_TIMEOUT_MS: "500" } });

async function call(method: string, path: string, publication?: unknown, to = publisher): Promise<Answer> {
  const { status, body = {} } = await callApi<Answer["body"]>(to, method, path, publication);
  return { status, code: body.error?.code, body };
}

const publish = (target: unknown, more = {}, to = publisher) =>
  call("POST", "/v1/publications", { target, data: "x", ...more }, to);
const receiptOf = async (to = publisher) =>
  (await publish({ everyone: true }, { receipt: true }, to)).body.receipt as Receipt;

/** Starts a pusher with one worker, whose link to NATS can be cut, and connects a client. */
async function startBehindLink() {
  const link = await startLink(nats.port);
  const pusher = await startPusher({ nats: link.url, env: { PUSHER_WORKERS: "1" } });
  const client = await connectRawClient(pusher.url);
  const isAway = () =>
    until("the client detects the loss", async () => (await readiness(pusher.adminUrl)).status === 503);
  const end = async () => {
    await pusher[Symbol.asyncDispose]();
    await link[Symbol.asyncDispose]();
  };
  return { link, pusher, client, isAway, [Symbol.asyncDispose]: end };
}

test("requests for a worker that is disconnected from NATS are answered with 503 or as incomplete, and succeed after its reconnect", async () => {
  await using away = await startBehindLink();
  await using _other = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
  const { address } = away.client;
  const connection = `/v1/connections/${address}`;
  expect((await publish({ connection: address })).body).toEqual({ status: "delivered" });

  away.link.cut();
  await away.isAway();
  const answers = [
    await publish({ connection: address }),
    await call("GET", connection),
    await call("HEAD", connection),
    await call("DELETE", connection),
    await call("PUT", `${connection}/topics/a`),
    await call("PUT", "/v1/users/anna/topics/a"),
    await call("DELETE", "/v1/users/anna/connections"),
  ];
  const receipts = [await receiptOf(), await receiptOf()];
  const durable = await publish({ everyone: true }, { receipt: true, durable: true });
  const user = await call("GET", "/v1/users/anna");
  const topic = await call("GET", "/v1/topics/a");
  const cluster = await call("GET", "/v1/cluster");

  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
  expect(answers.filter(({ code }) => code !== undefined && code !== "worker_timeout")).toEqual([]);
  for (const receipt of [...receipts, durable.body.receipt]) {
    expect(receipt).toMatchObject({ workers: 1, missing: 1, complete: false });
  }
  expect(user.body).toEqual({ user: "anna", count: 0, connections: [], missing: 1, complete: false });
  expect(topic.body).toEqual({ topic: "a", connections: 0, members: 0, missing: 1, complete: false });
  expect(cluster.body).toMatchObject({ workers: [{}], missing: [away.client.workerId] });

  away.link.heal();
  await untilReady(away.pusher.adminUrl);
  expect((await publish({ connection: address })).body).toEqual({ status: "delivered" });
  expect(await receiptOf()).toMatchObject({ workers: 2, missing: 0, complete: true });
  expect(away.client.socket.readyState).toBe(away.client.socket.OPEN);
});

test("the publisher retries a worker that reconnects in time, and delivers nothing twice", async () => {
  await using patient = await startPublisher({ nats: nats.url, env: { PUBLISHER_REQUEST_TIMEOUT_MS: "20000" } });
  await using away = await startBehindLink();
  const target = { connection: away.client.address };
  const before = away.client.frames.length;

  away.link.cut();
  await away.isAway();
  const asked = publish(target, {}, patient);
  away.link.heal();

  expect((await asked).body).toEqual({ status: "delivered" });
  await until("the publication arrives", () => away.client.frames.length > before);
  expect((await publish(target, {}, patient)).body).toEqual({ status: "delivered" });
  await until("the next publication arrives", () => away.client.frames.length > before + 1);
  expect(away.client.frames.length).toBe(before + 2);
});

test("no answer is 404 or complete while a worker reconnects", async () => {
  await using away = await startBehindLink();
  const { address } = away.client;
  const statuses = new Set<number>();
  const lies: Receipt[] = [];

  for (let times = 0; times < 5; times++) {
    await until("the worker is connected", async () => (await receiptOf()).workers === 1);
    away.link.cut();
    away.link.heal();
    const [targeted, found, receipt] = await Promise.all([
      publish({ connection: address }),
      call("GET", `/v1/connections/${address}`),
      receiptOf(),
    ]);
    statuses.add(targeted.status).add(found.status);
    if (receipt.complete && receipt.workers === 0) lies.push(receipt);
  }

  expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
  expect(lies).toEqual([]);
});

test("requests for a worker that has stopped are answered with 404 at once, and receipts are complete", async () => {
  await using stopped = await startBehindLink();
  const { address } = stopped.client;
  await until("the worker is the only one", async () => {
    const { workers, complete } = await receiptOf();
    return workers === 1 && complete;
  });
  await stopped.pusher.process.stop("SIGTERM");

  const startedAt = performance.now();
  expect((await publish({ connection: address })).code).toBe("connection_not_found");
  expect((await call("GET", `/v1/connections/${address}`)).code).toBe("connection_not_found");
  expect(performance.now() - startedAt).toBeLessThan(450);
  expect(await receiptOf()).toMatchObject({ workers: 0, missing: 0, complete: true });
});

test("requests for a killed worker are answered with 404, because its machine reports its end", async () => {
  await using killed = await startBehindLink();
  const { address } = killed.client;

  killed.pusher.process.kill("SIGKILL");

  await until("its addresses are unknown", async () => {
    const { code } = await publish({ connection: address });
    if (code !== "connection_not_found") expect(code).toBe("worker_timeout");
    return code === "connection_not_found";
  });
  expect(await receiptOf()).toMatchObject({ workers: 0, missing: 0, complete: true });
});

test("a publisher that has just started or reconnected does not answer 404 for unknown workers", async () => {
  await using away = await startBehindLink();
  await using link = await startLink(nats.port);
  const { address } = away.client;
  away.link.cut();
  await away.isAway();

  await using fresh = await startPublisher({
    nats: link.url,
    env: { PUBLISHER_REQUEST_TIMEOUT_MS: "100", PUBLISHER_RECEIPT_TIMEOUT_MS: "100" },
  });
  const first = await publish({ connection: address }, {}, fresh);
  const receipt = await receiptOf(fresh);
  away.link.heal();
  await untilReady(away.pusher.adminUrl);
  await until("the worker is known", async () => (await receiptOf(fresh)).complete);
  link.cut();
  await until("the publisher is disconnected from NATS", async () => (await readiness(fresh.adminUrl)).status === 503);
  link.heal();
  await untilReady(fresh.adminUrl);
  const unheardOf = await publish({ connection: "zzzzzzzz.1" }, {}, fresh);

  expect([first.status, first.code]).toEqual([503, "worker_timeout"]);
  expect(receipt).toMatchObject({ workers: 0, complete: false });
  expect([unheardOf.status, unheardOf.code]).toEqual([503, "worker_timeout"]);
  await until("all workers are known again", async () => {
    return (await publish({ connection: "zzzzzzzz.1" }, {}, fresh)).code === "connection_not_found";
  });
});

test("a publisher that started while a worker was disconnected asks the others: 503 if one remembers it, else 404", async () => {
  await using _witness = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "2" } });
  await using away = await startBehindLink();
  await using stopped = await startBehindLink();
  away.link.cut();
  await away.isAway();
  await stopped.pusher.process.stop("SIGTERM");
  const env = { PUBLISHER_REQUEST_TIMEOUT_MS: "500" };
  await using fresh = await startPublisher({ nats: nats.url, env });
  const statusOf = async (connection: string) => (await publish({ connection }, {}, fresh)).status;

  await until("an unknown address is answered with 404", async () => (await statusOf("zzzzzzzz.1")) === 404);

  const { address } = away.client;
  expect([await statusOf(address), await statusOf(stopped.client.address)]).toEqual([503, 404]);
  expect((await call("GET", `/v1/connections/${address}`, undefined, fresh)).code).toBe("worker_timeout");
  expect(await receiptOf(fresh)).toMatchObject({ workers: 2, missing: 1, complete: false });
  process.kill(away.pusher.process.pid, "SIGKILL");
  await until("the killed worker is forgotten", async () => (await statusOf(address)) === 404);
});

test("a publisher that started while a worker was disconnected counts it as missing in its first answers", async () => {
  await using _witness = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
  await using away = await startBehindLink();
  const id = away.client.workerId;
  expect(await receiptOf()).toMatchObject({ workers: 2, complete: true });
  away.link.cut();
  await away.isAway();
  const gap = { missing: 1, complete: false };
  const start = () => startPublisher({ nats: nats.url });

  await using first = await start();
  await using second = await start();
  await using third = await start();
  const answers = await Promise.all([
    receiptOf(first),
    ...["users/anna", "topics/a", "topics", "users", "connections"].map(
      async (path) => (await call("GET", `/v1/${path}`, undefined, second)).body,
    ),
  ]);
  const cluster = await call("GET", "/v1/cluster", undefined, third);

  for (const answer of answers) expect(answer).toMatchObject(gap);
  expect(cluster.body).toMatchObject({ workers: [{}], missing: [id], complete: false });
  expect((await call("GET", "/v1/topics/a/members", undefined, third)).code).toBe("worker_timeout");
  away.link.heal();
  await until("all workers answer", async () => (await receiptOf(first)).complete);
  const { body } = await call("GET", "/v1/cluster", undefined, first);
  expect([body.missing, body.complete]).toEqual([undefined, undefined]);
});

test("a publication to a Workerman worker is 503 while its channel server reconnects, and 404 once no worker has the id", async () => {
  await using link = await startLink(nats.port);
  await using channel = await startChannel({ nats: link.url });
  await using other = await startChannel({ nats: nats.url });
  using peer = await connectPeer(channel);
  peer.subscribe("7");
  await peer.settle();
  const codeOf = async (connection: string) => (await publish({ connection })).code;
  await until("no worker has another id", async () => (await codeOf("8.1")) === "connection_not_found");

  link.cut();
  await until("the loss is detected", async () => (await readiness(channel.adminUrl)).status === 503);
  expect([await codeOf("7.1"), await codeOf("8.1")]).toEqual(["worker_timeout", "worker_timeout"]);
  link.heal();

  await until("it is reached", async () => (await publish({ connection: "7.1" })).body.status === "forwarded");
  expect(await codeOf("8.1")).toBe("connection_not_found");
  expect((await readiness(other.adminUrl)).status).toBe(200);
});

test("a worker remembers the workers before it, and the publisher answers 503 if no worker answers", async () => {
  await using away = await startBehindLink();
  const { address, workerId: about } = away.client;
  const env = { PUBLISHER_REQUEST_TIMEOUT_MS: "500" };
  await using later = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });
  const [witness] = (await describeWorkers(bus)).filter(({ id }) => id !== about);
  await until("the witness has received the announcement", async () => {
    const recalled = await askWorker(bus, witness?.id ?? "", { command: "recall-worker", about });
    return (recalled as { state: string }).state === "here";
  });
  away.link.cut();
  await away.isAway();
  await using fresh = await startPublisher({ nats: nats.url, env });
  const codeOf = async (connection: string, to: TestPublisher) => (await publish({ connection }, {}, to)).code;
  await until(
    "the publisher knows all workers",
    async () => (await codeOf("zzzzzzzz.1", fresh)) === "connection_not_found",
  );
  expect(await codeOf(address, fresh)).toBe("worker_timeout");
  await later.process.stop("SIGTERM");

  await using alone = await startPublisher({ nats: nats.url, env });
  // Before it has asked for workers, a question takes until the timeout.
  await until("the publisher has asked", async () => {
    const startedAt = performance.now();
    await call("GET", "/v1/topics/a", undefined, alone);
    return performance.now() - startedAt < 250;
  });

  expect(await receiptOf(alone)).toMatchObject({ workers: 0, missing: 0, complete: false });
  expect((await call("GET", "/v1/topics/a", undefined, alone)).body).toMatchObject({ connections: 0, complete: false });
  expect((await call("GET", "/v1/cluster", undefined, alone)).body).toMatchObject({ workers: [], complete: false });
  expect([await codeOf(address, alone), await codeOf("zzzzzzzz.1", alone)]).toEqual([
    "worker_timeout",
    "worker_timeout",
  ]);
});
