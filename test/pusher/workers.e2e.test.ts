import { expect, test } from "vitest";
import { connectBus, describeWorkers, publishToEveryone } from "../support/bus.ts";
import { metric, readiness, startPusher } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";
import { isRunning, startService } from "../support/process.ts";
import { connectRawClients } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();

/** Starts a pusher that need not become ready. */
const spawnPusher = (natsUrl: string, port = "0") =>
  startService("pusher", {
    FANWIRE_NATS_URL: natsUrl,
    PUSHER_HOST: "127.0.0.1",
    PUSHER_PORT: port,
    PUSHER_ADMIN_PORT: "0",
  });

async function oneWorker() {
  const [worker] = await describeWorkers(bus);
  if (worker === undefined) throw new Error("no worker answered");
  return worker;
}

test("workers share one port below the ephemeral range, and each accepts connections", async () => {
  await using pusher = await startPusher({ nats: nats.url });

  const clients = await connectRawClients(pusher.url, 40);

  expect(new Set(clients.map(({ workerId }) => workerId)).size).toBe(2);
  expect(Number(new URL(pusher.url).port)).toBeLessThan(32_768);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections")).toBe(40);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_workers")).toBe(2);
});

test("workers start while publications arrive", async () => {
  let isEnough = false;
  const publishing = (async () => {
    while (!isEnough) await publishToEveryone(bus, "while they start");
  })();
  try {
    await using pusher = await startPusher({ nats: nats.url });

    expect(await metric(pusher.adminUrl, "fanwire_pusher_workers")).toBe(2);
  } finally {
    isEnough = true;
    await publishing;
  }
});

test("crash: a killed worker is replaced by one with a new id, and connections of other workers stay open", async () => {
  await using pusher = await startPusher({ nats: nats.url });
  const clients = await connectRawClients(pusher.url, 20);
  const victim = await oneWorker();
  const [lost, kept] = [true, false].map((own) => clients.filter(({ workerId }) => (workerId === victim.id) === own));

  process.kill(victim.pid, "SIGKILL");
  await until("its connections are closed", () => lost?.every(({ close }) => close?.code === 1006));
  await publishToEveryone(bus, "while one is dead");
  await until("the other connections receive the publication", () => kept?.every(({ frames }) => frames.length === 1));

  const workers = await until("two workers run again", async () => {
    const found = await describeWorkers(bus);
    return found.length === 2 && found;
  });
  expect(workers.map(({ id }) => id)).not.toContain(victim.id);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_worker_restarts_total")).toBe(1);
  expect((await readiness(pusher.adminUrl)).status).toBe(200);
  expect(kept?.every(({ close }) => close === undefined)).toBe(true);
  expect((await connectRawClients(pusher.url, 20)).map(({ workerId }) => workerId)).not.toContain(victim.id);
});

test("a pusher is not ready while a worker hangs", async () => {
  await using pusher = await startPusher({ nats: nats.url });
  const victim = await oneWorker();

  process.kill(victim.pid, "SIGSTOP");
  const red = await until("the loss is detected", async () => {
    const seen = await readiness(pusher.adminUrl);
    return seen.status === 503 && seen;
  });
  expect(red.text).toBe("worker does not respond");
  // Metrics are answered without it.
  expect(await metric(pusher.adminUrl, "fanwire_pusher_workers")).toBe(2);

  process.kill(victim.pid, "SIGCONT");
  await until("the loss is over", async () => (await readiness(pusher.adminUrl)).status === 200);
});

test("workers end with their supervisor, so that the port is free", async () => {
  await using pusher = await startPusher({ nats: nats.url });
  const [client] = await connectRawClients(pusher.url, 1);
  const before = await describeWorkers(bus);

  pusher.process.kill("SIGKILL");

  await until("the connection ends", () => client?.close);
  await until("no process is left", () => before.every(({ pid }) => !isRunning(pid)));
});

test("a single worker runs without a supervisor", async () => {
  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } });

  expect((await oneWorker()).pid).toBe(pusher.process.pid);
  expect(await metric(pusher.adminUrl, "fanwire_pusher_connections", { slot: "1" })).toBe(0);
});

test("a pusher whose port is in use exits with a message that names the port", async () => {
  await using pusher = await startPusher({ nats: nats.url });
  const { port } = new URL(pusher.url);

  await using second = spawnPusher(nats.url, port);

  const { code } = await until("the process ends", () => second.end());
  expect(code).toBe(1);
  expect(second.output()).toContain(`cannot listen on 127.0.0.1:${port}`);
});

test("a pusher that starts before NATS logs why it waits, and is ready when NATS starts", async () => {
  await using late = await startNats();
  await late.stop();
  await using service = spawnPusher(late.url);
  const admin = await until("the admin port", () => service.logLines().find(({ msg }) => msg === "admin port open"));
  const adminUrl = `http://127.0.0.1:${admin.port}`;
  await until("the pusher logs the reason", () => service.output().includes("NATS cannot be reached yet"));
  expect((await readiness(adminUrl)).status).toBe(503);
  expect((await fetch(`${adminUrl}/healthz`)).status).toBe(200);

  await late.restart();

  await until("the pusher is ready", async () => (await readiness(adminUrl)).status === 200);
  await using lateBus = await connectBus(late.url);
  expect((await describeWorkers(lateBus)).length).toBeGreaterThan(0);
});

test("a pusher that waits for NATS stops at once with 0", async () => {
  await using service = spawnPusher("nats://127.0.0.1:1");
  await until("the pusher waits for NATS", () => service.output().includes("NATS cannot be reached yet"));

  expect(await service.stop("SIGTERM")).toBe(0);
});
