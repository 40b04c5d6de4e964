import { expect, onTestFinished, test } from "vitest";
import { startChannel, startPublisher, startPusher } from "../support/cluster.ts";
import type { TestProcess } from "../support/process.ts";
import { useCluster } from "../support/use-cluster.ts";
import { until } from "../support/wait.ts";

type Started = AsyncDisposable & { readonly process: TestProcess };

const { nats } = useCluster();
const services: Record<string, () => Promise<Started>> = {
  "a channel server": () => startChannel({ nats: nats.url }),
  "a publisher": () => startPublisher({ nats: nats.url }),
  "a pusher with one worker": () => startPusher({ nats: nats.url, env: { PUSHER_WORKERS: "1" } }),
  "a pusher with two workers": () => startPusher({ nats: nats.url }),
};

/** Does not call `stop()`, because a process that never ends must be killed when the test fails. */
const exitCode = async (service: TestProcess) => (await until("the process ends", () => service.exit())).code;

test.each(Object.entries(services))("%s whose output is closed ends by a second signal", async (_name, start) => {
  await using service = await start();

  service.process.closeOutput();
  // Both signals wait when the process continues, so that it cannot notice that its output is closed.
  service.process.kill("SIGSTOP");
  service.process.kill("SIGINT");
  service.process.kill("SIGTERM");
  service.process.kill("SIGCONT");

  expect(await exitCode(service.process)).toBe(1);
});

test("a publisher whose output is not read serves requests and ends by SIGTERM", async () => {
  await using publisher = await startPublisher({ nats: nats.url, env: { FANWIRE_LOG_LEVEL: "debug" } });

  publisher.process.pauseOutput();
  // Each request logs a line, and all lines are more than the pipe buffers.
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${publisher.url}/nowhere`)).text()));
  }
  publisher.process.kill("SIGTERM");

  expect(await exitCode(publisher.process)).toBe(0);
});

test("services whose output is closed end by SIGTERM while NATS is unavailable", async () => {
  const started = await Promise.all(
    Object.values(services).map(async (start) => {
      const service = await start();
      onTestFinished(() => service[Symbol.asyncDispose]());
      return service.process;
    }),
  );
  await nats.stop();
  for (const service of started) {
    await until("the service detects the loss", () => service.output().includes("NATS connection lost"));
    service.closeOutput();
    service.kill("SIGTERM");
  }

  expect(await Promise.all(started.map(exitCode))).toEqual([0, 0, 0, 0]);
});
