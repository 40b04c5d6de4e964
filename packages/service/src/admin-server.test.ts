import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { type Readiness, startAdmin } from "./admin-server.ts";
import { createLog } from "./log.ts";

const source = { readiness: (): Readiness => ({ ready: true }), metrics: async () => "" };
const start = (options: Partial<Parameters<typeof startAdmin>[0]> = {}) =>
  startAdmin({ host: "127.0.0.1", port: 0, source, log: createLog("test", "silent"), ...options });

test("health checks: the admin port serves liveness, readiness with its reason, and metrics", async () => {
  let readiness: Readiness = { ready: false, reason: "not connected to NATS" };
  const admin = await start({ source: { readiness: () => readiness, metrics: async () => "up 1\n" } });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${admin.port}${path}`);
    return [response.status, await response.text()];
  };

  expect(await get("/healthz")).toEqual([200, "ok\n"]);
  expect(await get("/readyz?verbose")).toEqual([503, "not connected to NATS\n"]);
  readiness = { ready: true };
  expect(await get("/readyz")).toEqual([200, "ready\n"]);
  const [, metrics] = await get("/metrics");
  expect(metrics).toMatch(/^up 1\n(# .*\n)*fanwire_ready 1\n$/);
  readiness = { ready: false, reason: "draining" };
  expect((await get("/metrics"))[1]).toMatch(/^fanwire_ready 0$/m);
  expect((await get("/"))[0]).toBe(404);

  await admin.stop();
  await expect(get("/healthz")).rejects.toThrow();
});

test("startAdmin() rejects when the port is in use", async () => {
  const first = await start();

  await expect(start({ port: first.port })).rejects.toThrow("EADDRINUSE");
  await first.stop();
});

test("beyond a hundred connections new ones are dropped, until another one closes", async () => {
  const admin = await start();
  const open = async () => {
    const socket = connect(admin.port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  const silent = await Promise.all(Array.from({ length: 100 }, open));

  await once(await open(), "close");

  for (const socket of silent) socket.destroy();
  await expect
    .poll(() => fetch(`http://127.0.0.1:${admin.port}/healthz`).then(({ status }) => status, String))
    .toBe(200);
  await admin.stop();
});

test("a client that sends requests without reading the answers is disconnected", async () => {
  let answers = 0;
  const metrics = async () => {
    answers++;
    return "up 1\n".repeat(10_000);
  };
  const admin = await start({ source: { ...source, metrics } });
  const socket = connect(admin.port, "127.0.0.1").on("error", () => {});

  socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000));

  await new Promise((resolve) => socket.resume().once("close", resolve));
  expect(answers).toBe(1);
  await admin.stop();
});
