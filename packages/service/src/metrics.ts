import { Counter, collectDefaultMetrics, Registry } from "prom-client";
import { standardOutput } from "./log-output.ts";

/** A registry that already holds the process metrics: CPU, memory, garbage collection, event-loop lag; and lost log lines. */
export function createRegistry(): Registry {
  const registry = new Registry();
  // Each look at the event-loop lag wakes the process up, by itself a hundred times a second; what is shown holds the time between.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
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
