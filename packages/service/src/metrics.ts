import { Counter, collectDefaultMetrics, Registry } from "prom-client";
import { standardOutput } from "./log-output.ts";

/** A registry that already holds the process metrics: CPU, memory, garbage collection, event-loop lag; and lost log lines. */
export function createRegistry(): Registry {
  const registry = new Registry();
  // Each look at the event-loop lag wakes the process up; by itself prom-client looks a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
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
