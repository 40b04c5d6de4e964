import { expect, test } from "vitest";
import { readiness } from "../support/cluster.ts";
import { startNats } from "../support/nats.ts";
import { startService } from "../support/process.ts";
import { until } from "../support/wait.ts";

test("without JetStream a webhook sender is not ready, with the reason, and stops when asked", async () => {
  await using nats = await startNats([], { jetStream: false });
  await using service = startService("webhooks", { FANWIRE_NATS_URL: nats.url, WEBHOOKS_ADMIN_PORT: "0" });
  const port = await until("the admin port", () => {
    return service.logLines().find(({ msg }) => msg === "webhook sender started")?.adminPort;
  });
  const isNamed = async () => (await readiness(`http://127.0.0.1:${port}`)).text.toLowerCase().includes("jetstream");

  await until("the reason", isNamed);
  expect(await readiness(`http://127.0.0.1:${port}`)).toMatchObject({ status: 503 });
  expect(await service.stop()).toBe(0);
});
