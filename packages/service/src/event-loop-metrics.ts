import type { RecordableHistogram } from "node:perf_hooks";
import { Gauge, type Registry } from "prom-client";
import { eventLoopDelay } from "./event-loop-delay.ts";

/** prom-client's own samples cannot be turned off. */
export const DEFAULT_SAMPLE_EVERY_MS = 3_600_000;

type Figure = {
  readonly name: "min" | "mean" | "p50" | "p90" | "p99" | "max";
  /** Aggregation over the workers of a supervisor. */
  readonly aggregator: "min" | "max" | "average";
  read(histogram: RecordableHistogram): number;
};

const figures: readonly Figure[] = [
  { name: "min", aggregator: "min", read: ({ min }) => min },
  { name: "mean", aggregator: "average", read: ({ mean }) => mean },
  { name: "p50", aggregator: "average", read: (histogram) => histogram.percentile(50) },
  { name: "p90", aggregator: "average", read: (histogram) => histogram.percentile(90) },
  { name: "p99", aggregator: "average", read: (histogram) => histogram.percentile(99) },
  { name: "max", aggregator: "max", read: ({ max }) => max },
];

const nameOf = (figure: string) => `nodejs_eventloop_lag_${figure}_seconds`;

/** Replaces prom-client's event-loop lag by one that excludes the sample interval. */
export function collectEventLoopLag(registry: Registry): void {
  for (const { name } of figures) registry.removeSingleMetric(nameOf(name));
  registry.removeSingleMetric(nameOf("stddev"));

  const { histogram } = eventLoopDelay();
  const collect = () => {
    if (histogram.count === 0) return;
    for (const [at, { read }] of figures.entries()) gauges[at]?.set(read(histogram) / 1e9);
    histogram.reset();
  };
  const gauges = figures.map(
    ({ name, aggregator }, at) =>
      new Gauge({
        name: nameOf(name),
        help: `Event-loop lag: ${name} since the last scrape.`,
        registers: [registry],
        aggregator,
        // The gauges are collected in order, so the first one sets all.
        ...(at === 0 && { collect }),
      }),
  );
}
