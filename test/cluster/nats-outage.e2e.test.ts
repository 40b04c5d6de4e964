import { expect, test } from "vitest";
import { metric, readiness } from "../support/cluster.ts";
import { connectRawClients } from "../support/raw-client.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

const { nats, pushers, publishers } = useCluster();

test("clients stay connected while NATS restarts, publishing answers 503 until then, and no process restarts", async () => {
  const services = [...pushers, ...publishers];
  const clients = (await Promise.all(pushers.map(({ url }) => connectRawClients(url, 20)))).flat();
  const publish = async (content: string, publisher: 0 | 1) => {
    const response = await fetch(`${publishers[publisher].url}/?content=${content}`);
    return { status: response.status, retryAfter: response.headers.get("retry-after") };
  };

  await nats.stop("SIGKILL");
  for (const { adminUrl } of services) {
    await until("the service is not ready", async () => (await readiness(adminUrl)).status === 503);
  }
  expect(await publish("lost", 0)).toEqual({ status: 503, retryAfter: "1" });
  expect(await publish("lost", 1)).toEqual({ status: 503, retryAfter: "1" });

  await nats.restart();
  for (const { adminUrl } of services) {
    await until("the service is ready", async () => (await readiness(adminUrl)).status === 200);
  }
  expect(await publish("after", 0)).toEqual({ status: 200, retryAfter: null });
  expect(await publish("again", 1)).toEqual({ status: 200, retryAfter: null });

  await until("all clients receive it", () => clients.every(({ frames }) => frames.length >= 2));
  for (const { frames, close } of clients) {
    expect(frames).toEqual(["after", "again"]);
    expect(close).toBeUndefined();
  }
  for (const { adminUrl, process } of services) {
    expect(process.exit()).toBeUndefined();
    expect(await metric(adminUrl, "fanwire_nats_disconnects_total")).toBeGreaterThan(0);
  }
  expect(await metric(pushers[0].adminUrl, "fanwire_pusher_worker_restarts_total")).toBe(0);
});

test("services are not ready while NATS hangs, publishing answers 503, and both recover afterwards", async () => {
  const clients = await connectRawClients(pushers[0].url, 5);
  const publish = async (content: string) => (await fetch(`${publishers[0].url}/?content=${content}`)).status;

  nats.signal("SIGSTOP");
  expect(await publish("perhaps")).toBe(503); // unconfirmed: NATS may have it
  for (const { adminUrl } of [...pushers, ...publishers]) {
    await until("the service is not ready", async () =>
      (await readiness(adminUrl)).text.includes("nothing comes back from NATS"),
    );
  }
  expect(await publish("refused")).toBe(503);

  nats.signal("SIGCONT");
  await until("publishing works again", async () => (await publish("after")) === 200);

  await until("all clients receive it", () => clients.every(({ frames }) => frames.includes("after")));
  for (const { frames, close } of clients) {
    expect(frames).not.toContain("refused");
    expect(close).toBeUndefined();
  }
});
