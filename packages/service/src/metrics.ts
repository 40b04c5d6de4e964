import { Counter, Registry } from "prom-client";
import { standardOutput } from "./log-output.ts";
import { collectProcessMetrics } from "./process-metrics.ts";

/**
 * Returns a registry with the process metrics: CPU, memory, garbage collection, event-loop lag, and dropped log lines.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectProcessMetrics(registry);
  new Counter({
    name: "fanwire_log_lines_dropped_total",
    help: "Log lines dropped because the reader of standard output is too slow.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(standardOutput.droppedLines);
    },
  });
  return registry;
}
