import { expect, test } from "vitest";
import { startProcess } from "../support/process.ts";
import { until } from "../support/wait.ts";

async function runBench(...args: string[]): Promise<{ code: number | null; output: string }> {
  await using bench = startProcess("npm", ["run", "bench", "--", "--quick", ...args], {
    ...(process.env.FANWIRE_NATS_SERVER && { FANWIRE_NATS_SERVER: process.env.FANWIRE_NATS_SERVER }),
  });
  const { code } = await until("the process ends", () => bench.end(), 350_000);
  return { code, output: bench.output() };
}

test("the bench runs every scenario, and no delivery is lost, repeated or out of order", async () => {
  const { code, output } = await runBench();

  expect(code, output).toBe(0);
  const scenarios = [
    "steady",
    "saturated",
    "wide",
    "burst",
    "burst-v1",
    "burst-sse",
    "growth",
    "topics",
    "durable",
    "durable-v1",
  ];
  const others = [
    "sse",
    "opening",
    "targeted",
    "stampede",
    "publish-api",
    "console",
    "interest",
    "channel-route",
    "channel-crowd",
  ];
  for (const name of [...scenarios, ...others]) expect(output).toContain(`\n### ${name}\n`);
  for (const name of ["bare", "pusher", "plain"]) expect(output).toContain(`\n| ${name} `);
}, 360_000);

test("the bench measures other servers, and reports those that are not installed as skipped", async () => {
  const peers = ["naive", "limit", "limit-batched", "ws", "socket.io", "nats-ws", "nchan"];

  const { code, output } = await runBench("steady", "--servers", peers.join(","));

  expect(code, output).toBe(0);
  for (const name of peers) expect(output).toMatch(new RegExp(`steady 1/1 ${name}: (skipped, |[0-9.]+ µs/delivery)`));
}, 360_000);
