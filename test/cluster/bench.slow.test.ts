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
  const help = await runBench("--help");
  const [, list = ""] = /^Scenarios.*\n((?: {2}.*\n)+)/m.exec(help.output) ?? [];
  const scenarios = [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name);

  const { code, output } = await runBench();

  expect(code, output).toBe(0);
  expect(scenarios.length).toBeGreaterThan(20);
  for (const name of scenarios) expect(output).toContain(`\n### ${name}\n`);
  for (const name of ["bare", "pusher", "plain"]) expect(output).toContain(`\n| ${name} `);
}, 360_000);

test("the bench measures other servers, and reports those that are not installed as skipped", async () => {
  const peers = ["naive", "limit", "limit-batched", "ws", "socket.io", "nats-ws", "nchan"];

  const { code, output } = await runBench("steady", "--servers", peers.join(","));

  expect(code, output).toBe(0);
  for (const name of peers) expect(output).toMatch(new RegExp(`steady 1/1 ${name}: (skipped, |[0-9.]+ µs/delivery)`));
}, 360_000);
