import { readdir } from "node:fs/promises";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";
import { collectEventLoopLag, DEFAULT_SAMPLE_EVERY_MS } from "./event-loop-metrics.ts";

const OPEN_FILES = "/proc/self/fd";

/** Metrics that list every socket of the process in one event-loop tick. With ten thousand sockets that takes long. */
const listing = [
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_active_resources",
];

/** Registers prom-client's process metrics, without long ticks at a scrape, and with a better event-loop lag. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: DEFAULT_SAMPLE_EVERY_MS });
  for (const name of listing) registry.removeSingleMetric(name);
  collectEventLoopLag(registry);
  collectOpenFiles(registry);
}

/** Replaces prom-client's gauge, because it reads the directory of open files synchronously. */
function collectOpenFiles(registry: Registry): void {
  const name = "process_open_fds";
  if (registry.getSingleMetric(name) === undefined) return;
  registry.removeSingleMetric(name);
  new Gauge({
    name,
    help: "Number of open file descriptors.",
    registers: [registry],
    async collect() {
      try {
        // The listing includes the descriptor that lists.
        this.set((await readdir(OPEN_FILES)).length - 1);
      } catch {
        // A process without a free file descriptor keeps the count of the last scrape.
      }
    },
  });
}
