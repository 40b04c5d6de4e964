import { Counter, Registry } from "prom-client";
import { collectProcessMetrics } from "./event-loop-lag.ts";
import { standardOutput } from "./log-output.ts";

/** A registry that already holds the process metrics: CPU, memory, garbage collection, event-loop lag; and lost log lines. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectProcessMetrics(registry);
  new Counter({
    name: "fanwire_log_lines_dropped_total",
    help: "Lines of the log that were not written because their reader is too slow",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(standardOutput.droppedLines);
    },
  });
  return registry;
}
