import { describe, expect, test } from "vitest";
import { startChannel, startPublisher, startPusher } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";
import type { TestProcess } from "../support/process.ts";
import { until } from "../support/wait.ts";

type Started = AsyncDisposable & { readonly process: TestProcess };

const services: Record<string, (nats: string) => Promise<Started>> = {
  "a channel server": (nats) => startChannel({ nats }),
  "a publisher": (nats) => startPublisher({ nats }),
  "a pusher with one worker": (nats) => startPusher({ nats, env: { PUSHER_WORKERS: "1" } }),
  "a pusher with two workers": (nats) => startPusher({ nats }),
};

/** Does not call `stop()`, because a process that never ends must be killed when the test fails. */
const exitCode = async (service: TestProcess) => (await until("the process ends", () => service.exit())).code;

describe.each(Object.entries(services))("%s whose output is closed", (_name, start) => {
  test("ends by SIGTERM while NATS is unavailable", async () => {
    await using nats = await startNats();
    await using service = await start(nats.url);
    await nats.stop();
    await until("the service detects the loss", () => service.process.output().includes("NATS connection lost"));

    service.process.closeOutput();
    service.process.kill("SIGTERM");

    expect(await exitCode(service.process)).toBe(0);
  });

  test("ends by a second signal", async () => {
    await using nats = await startNats();
    await using service = await start(nats.url);

    service.process.closeOutput();
    // Both signals wait when the process continues, so that it cannot notice that its output is closed.
    service.process.kill("SIGSTOP");
    service.process.kill("SIGINT");
    service.process.kill("SIGTERM");
    service.process.kill("SIGCONT");

    expect(await exitCode(service.process)).toBe(1);
  });
});

test("a publisher whose output is not read serves requests and ends by SIGTERM", async () => {
  await using nats = await startNats();
  await using publisher = await startPublisher({ nats: nats.url, env: { FANWIRE_LOG_LEVEL: "debug" } });

  publisher.process.pauseOutput();
  // Each request logs a line, and all lines are more than the pipe buffers.
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${publisher.url}/nowhere`)).text()));
  }
  publisher.process.kill("SIGTERM");

  expect(await exitCode(publisher.process)).toBe(0);
});
