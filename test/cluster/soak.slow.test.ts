import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useFolder } from "../support/packed.ts";
import { startProcess } from "../support/process.ts";
import { until } from "../support/wait.ts";

const folder = await useFolder();

test("a short soak samples every process and draws a chart", async () => {
  const svgFile = join(folder, "soak.svg");
  const args = ["--seconds", "8", "--every", "1", "--clients", "30", "--life", "2", "--rate", "30", "--svg", svgFile];
  await using soak = startProcess("npm", ["run", "soak", "--", ...args], {
    ...(process.env.FANWIRE_NATS_SERVER && { FANWIRE_NATS_SERVER: process.env.FANWIRE_NATS_SERVER }),
  });

  const exit = await until("the process ends", () => soak.end(), 120_000);

  expect(exit.code, soak.output()).toBe(0);
  expect(soak.output()).toContain("too short a run for a verdict");
  const picture = await readFile(svgFile, "utf8");
  for (const text of ["Resident memory", "NATS subscriptions", "worker 2:", "nats-server:"]) {
    expect(picture).toContain(text);
  }
}, 150_000);
