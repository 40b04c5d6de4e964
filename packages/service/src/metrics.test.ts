import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { standardOutput } from "./log-output.ts";
import { addCounter, addGauge, addLabelledCounter, createRegistry } from "./metrics.ts";

test("metrics have the values of the time of the scrape", async () => {
  const registry = new Registry();
  const read = { help: "x", value: () => count };
  let count = 0;
  addGauge(registry, { name: "gauge", ...read });
  addCounter(registry, { name: "counter", ...read });
  addLabelledCounter(registry, { name: "labelled", help: "x", label: "kind", values: () => ({ a: count, b: 1 }) });

  for (count of [3, 5]) {
    const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines).toEqual([
      `gauge ${count}`,
      `counter ${count}`,
      `labelled{kind="a"} ${count}`,
      'labelled{kind="b"} 1',
    ]);
  }
});

test("every registry counts dropped log lines", async () => {
  const metrics = await createRegistry().metrics();

  expect(metrics).toContain(`\nfanwire_log_lines_dropped_total ${standardOutput.droppedLines}\n`);
});
