import { describe, expect, test } from "vitest";
import { startPublisher } from "./publisher.ts";
import { configFor, log, NatsServer, never, usePublisher } from "./testing.ts";

const { worker, startAnother, url, post } = usePublisher();

test("unreadable NATS credentials end the start", async () => {
  const config = configFor({ port: 0 }, { FANWIRE_NATS_CREDS_FILE: "/nowhere/a.creds" });

  await expect(startPublisher(config, { log }, never)).rejects.toThrow("ENOENT");
});

describe("graceful shutdown", () => {
  test("finishes requests in flight, refuses new ones, and may be called twice", async () => {
    const started = await startAnother({ PUBLISHER_REQUEST_TIMEOUT_MS: "400" });
    worker.outcome = "silence";

    const inFlight = post({ target: { connection: "worker01.1" }, data: "x" }, started);
    await worker.receives(1);
    const stopped = started.stop();
    expect(started.stop()).toBe(stopped);
    await expect(fetch(url("/?content=x", started))).rejects.toThrow();
    const response = await inFlight;
    await stopped;

    expect([response.status, response.headers.get("connection")]).toEqual([503, "close"]);
  });

  test("does not wait for a NATS that was never reached", async () => {
    await using absent = await NatsServer.run();
    await absent.stop();
    const started = await startPublisher(configFor(absent), { log }, never);

    await started.stop();
    await expect(fetch(url("/", started))).rejects.toThrow();
  });
});
