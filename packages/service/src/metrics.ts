import { Counter, Gauge, Registry } from "prom-client";
import { standardOutput } from "./log-output.ts";
import { collectProcessMetrics } from "./process-metrics.ts";

/**
 * Returns a registry with the process metrics: CPU, memory, garbage collection, event-loop lag, and dropped log lines.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectProcessMetrics(registry);
  addCounter(registry, {
    name: "fanwire_log_lines_dropped_total",
    help: "Log lines dropped because the reader of standard output is too slow.",
    value: () => standardOutput.droppedLines,
  });
  return registry;
}

type ReadMetric = { readonly name: string; readonly help: string; value(): number };

/** Registers a gauge, the value of which is read at each scrape. */
export function addGauge(registry: Registry, { name, help, value }: ReadMetric): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}

/** Registers a counter that something else counts. Its value is read at each scrape. */
export function addCounter(registry: Registry, { name, help, value }: ReadMetric): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(value());
    },
  });
}

/** Registers a counter with one label. The values of all labels are read at each scrape. */
export function addLabelledCounter(
  registry: Registry,
  options: {
    readonly name: string;
    readonly help: string;
    readonly label: string;
    values(): Readonly<Record<string, number>>;
  },
): void {
  const { name, help, label, values } = options;
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, value] of Object.entries(values())) this.inc({ [label]: key }, value);
    },
  });
}
