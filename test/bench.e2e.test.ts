import { expect, test } from "vitest";
import { startProcess } from "./support/process.ts";
import { until } from "./support/wait.ts";

test("the bench runs every scenario on every server, and no delivery is lost, repeated or out of order", async () => {
  await using bench = startProcess("npm", ["run", "bench", "--", "--quick"], {
    ...(process.env.FANWIRE_NATS_SERVER && { FANWIRE_NATS_SERVER: process.env.FANWIRE_NATS_SERVER }),
  });

  const exit = await until("it ends", () => bench.exit(), 170_000);

  expect(exit.code, bench.output()).toBe(0);
  const names = ["steady", "wide", "burst", "bare", "naive", "pusher", "channel-route", "channel-crowd", "plain"];
  for (const name of names) expect(bench.output()).toContain(name);
}, 180_000);
