import { open, readdir } from "node:fs/promises";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { collectProcessMetrics } from "./process-metrics.ts";

function collected(): Registry {
  const registry = new Registry();
  collectProcessMetrics(registry);
  return registry;
}

test("the process metrics exist, without those that list every socket", async () => {
  const text = await collected().metrics();

  for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_heap_size_used_bytes"]) {
    expect(text).toContain(name);
  }
  expect(text).toContain("nodejs_active_resources_total");
  expect(text).not.toMatch(/nodejs_active_(handles|requests|resources[ {])/);
});

test.runIf(process.platform === "linux")("file descriptors: open files are counted", async () => {
  const registry = collected();
  const openFiles = async () => Number(/^process_open_fds (\d+)$/m.exec(await registry.metrics())?.[1]);
  const files = await Promise.all(Array.from({ length: 50 }, () => open("/dev/null")));

  const withFiles = await openFiles();
  const listed = (await readdir("/proc/self/fd")).length - 1;
  await Promise.all(files.map((file) => file.close()));

  expect(Math.abs(withFiles - listed)).toBeLessThan(20);
  expect(await openFiles()).toBeLessThan(withFiles - 25);
});
