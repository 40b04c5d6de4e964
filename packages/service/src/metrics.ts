import { collectDefaultMetrics, Registry } from "prom-client";

/** A registry that already holds the process metrics: CPU, memory, garbage collection, event-loop lag. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
