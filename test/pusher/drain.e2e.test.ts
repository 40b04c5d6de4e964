import { expect, test } from "vitest";
import { publishToEveryone } from "../support/bus.ts";
import { readiness, startPusher } from "../support/cluster.ts";
import { connectFanwire } from "../support/fanwire-client.ts";
import { connectRawClients } from "../support/raw-client.ts";
import { SECRET, signToken } from "../support/tokens.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, bus } = useCluster();

test("a drain under load accepts no connection, closes all with 1012 at a steady pace, delivers until then, and exits with 0", async () => {
  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_DRAIN_SECONDS: "3" } });
  await using elsewhere = await startPusher({ nats: nats.url });
  const clients = await connectRawClients(pusher.url, 200);
  const [stays] = await connectRawClients(elsewhere.url, 1);
  const closedAt: number[] = [];
  for (const { socket } of clients) socket.on("close", () => closedAt.push(performance.now()));
  let published = 0;
  let isLoading = true;
  const load = (async () => {
    while (isLoading) await publishToEveryone(bus, String(published++));
  })();

  const startedAt = performance.now();
  const stopped = pusher.process.stop("SIGTERM");
  await until("the service is not ready", async () => (await readiness(pusher.adminUrl)).text === "draining");
  await expect(
    until("the connection is refused", () => connectRawClients(pusher.url, 1).then(() => false)),
  ).rejects.toThrow();
  expect(await stopped).toBe(0);
  isLoading = false;
  await load;

  await until("every connection is closed", () => clients.every(({ close }) => close !== undefined));
  expect(new Set(clients.map(({ close }) => close?.code))).toEqual(new Set([1012]));
  // The pace is the assertion: not all in one moment, and not later than the drain, with room for a busy machine.
  const spread = Math.max(...closedAt) - Math.min(...closedAt);
  expect(spread).toBeGreaterThan(1_500);
  expect(Math.max(...closedAt) - startedAt).toBeLessThan(10_000);
  // Each client received everything until it was closed.
  for (const { frames } of clients) expect(frames).toEqual(Array.from(frames, (_, at) => String(at)));
  expect(clients.some(({ frames }) => frames.length > 10)).toBe(true);
  // Clients of the other pusher received everything.
  await until("the client of the other pusher has everything", () => stays?.frames.length === published);
  expect(stays?.close).toBeUndefined();
});

test("a second signal ends a drain at once", async () => {
  await using pusher = await startPusher({ nats: nats.url, env: { PUSHER_DRAIN_SECONDS: "600" } });
  const clients = await connectRawClients(pusher.url, 50);

  pusher.process.kill("SIGTERM");
  await until("the drain has begun", () => clients.some(({ close }) => close?.code === 1012));
  const exitCode = await pusher.process.stop("SIGTERM");

  expect(exitCode).toBe(1);
  await until("all connections are closed", () => clients.every(({ close }) => close !== undefined));
});

test("tokens expire during a drain", async () => {
  await using pusher = await startPusher({
    nats: nats.url,
    env: {
      PUSHER_WORKERS: "1",
      PUSHER_DRAIN_SECONDS: "60",
      PUSHER_TOKEN_SECRET: SECRET,
      PUSHER_TOKEN_LEEWAY_SECONDS: "0",
    },
  });
  // Older connections are closed first, so that the drain lasts until the token has expired.
  await connectRawClients(pusher.url, 50);
  const token = await signToken({ topics: ["secret"] }, { expiresInSeconds: 3 });
  const client = await connectFanwire(pusher.url, { token, topic: "secret" });

  pusher.process.kill("SIGTERM");

  await until("the connection is closed", () => client.close);
  expect(client.close).toEqual({ code: 4401, reason: "the token has expired" });
});
