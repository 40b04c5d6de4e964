import { describe, expect, test, vi } from "vitest";
import { type Publisher, startPublisher } from "../publisher.ts";
import {
  configFor,
  errorCode,
  errorOf,
  isReady,
  log,
  NatsServer,
  never,
  readiness,
  startReady,
  usePublisher,
} from "../testing.ts";

const { url, post } = usePublisher();

test("without JetStream, durable publications and history are 503 with the reason, live ones are published", async () => {
  const live = { target: { topic: "a" }, data: "x" };
  const durable = { ...live, durable: true };

  for (const response of [await post(durable), await post([durable]), await fetch(url("/v1/topics/a/publications"))]) {
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await errorOf(response)).toMatchObject({
      code: "history_unavailable",
      message: expect.stringMatching(/Nothing was stored.*without JetStream/),
    });
  }
  expect(await (await post([live, durable])).json()).toMatchObject({
    results: [{ status: "published" }, { error: { code: "history_unavailable" } }],
  });
});

describe("a disconnected NATS", () => {
  const routes: [method: string, path: string, body?: string][] = [
    ["GET", "/?content=x"],
    ["GET", "/?to_worker_id=worker01&to_connection_id=1&content=x"],
    ["POST", "/v1/publications", '{"target":{"everyone":true},"data":"x"}'],
    ["POST", "/v1/publications", '{"target":{"connection":"worker01.1"},"data":"x"}'],
    ["POST", "/v1/publications", '[{"target":{"everyone":true},"data":"x"},{"target":{"everyone":true},"data":"x"}]'],
    ["POST", "/v1/publications", '{"target":{"topic":"a"},"data":"x","durable":true}'],
    ["GET", "/v1/topics/a/publications"],
    ["GET", "/v1/connections/worker01.1"],
    ["HEAD", "/v1/connections/worker01.1"],
    ["DELETE", "/v1/connections/worker01.1"],
    ["GET", "/v1/cluster"],
  ];

  /** Starts NATS after the first checks. */
  async function expectUnavailableUntilStart(nats: NatsServer, to: Publisher): Promise<void> {
    for (const [method, path, body] of routes) {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(url(path, to), { method, headers, ...(body !== undefined && { body }) });
      expect([response.status, response.headers.get("retry-after")], `${method} ${path}`).toEqual([503, "1"]);
      if (method !== "HEAD") expect(await errorCode(response)).toBe("nats_unavailable");
    }
    expect(await readiness(to)).toBe(503);
    expect((await fetch(`http://127.0.0.1:${to.adminPort}/healthz`)).status).toBe(200);
    expect((await fetch(url("/?a=nothing to send", to))).status).toBe(200);

    await nats.start();
    await vi.waitUntil(() => isReady(to), { timeout: 15_000 });
    expect((await fetch(url("/?content=x", to))).status).toBe(200);
  }

  test("is 503 on all routes that need NATS, until NATS returns", async () => {
    await using passing = await NatsServer.run();
    await using started = await startReady(passing);

    await passing.stop();
    await vi.waitUntil(async () => !(await isReady(started)), { timeout: 10_000 });
    await expectUnavailableUntilStart(passing, started);
  });

  test("from the beginning does not prevent the start", async () => {
    await using late = await NatsServer.run();
    await late.stop();
    await using started = await startPublisher(configFor(late), { log }, never);

    await expectUnavailableUntilStart(late, started);
  });

  test("missing NATS permissions are 500", async () => {
    const users = 'authorization { users: [{ user: a, password: b, permissions: { publish: ["_INBOX.>"] } }] }';
    await using strict = await NatsServer.run(users);
    await using started = await startReady(strict, { FANWIRE_NATS_USER: "a", FANWIRE_NATS_PASSWORD: "b" });

    for (const response of [
      await fetch(url("/?content=x", started)),
      await post({ target: { everyone: true }, data: "x" }, started),
      await post({ target: { connection: "worker01.1" }, data: "x" }, started),
      await fetch(url("/v1/connections/worker01.1", started)),
      await fetch(url("/v1/cluster", started)),
    ]) {
      expect([response.status, await errorCode(response)], response.url).toEqual([500, "nats_forbidden"]);
    }
  });
});
