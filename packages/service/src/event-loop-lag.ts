import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

/** Each look wakes an idle process up, which virtual machines make dear: fifty a second cost more than all else it does. */
const LOOK_EVERY_MS = 100;
/** prom-client's own looks cannot be turned off. */
const ITS_LOOK_EVERY_MS = 3_600_000;

type Figure = {
  readonly name: "min" | "mean" | "p50" | "p90" | "p99" | "max";
  /** Over the workers of a supervisor. */
  readonly aggregator: "min" | "max" | "average";
  read(histogram: IntervalHistogram): number;
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

/** The metrics of a process as prom-client has them, but for event-loop lag: without the time between two looks at it. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: ITS_LOOK_EVERY_MS });
  for (const { name } of figures) registry.removeSingleMetric(nameOf(name));
  registry.removeSingleMetric(nameOf("stddev"));

  const histogram = monitorEventLoopDelay({ resolution: LOOK_EVERY_MS });
  histogram.enable();
  const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - LOOK_EVERY_MS / 1e3);
  const collect = () => {
    if (histogram.count === 0) return;
    for (const [at, { read }] of figures.entries()) gauges[at]?.set(seconds(read(histogram)));
    histogram.reset();
  };
  const gauges = figures.map(
    ({ name, aggregator }, at) =>
      new Gauge({
        name: nameOf(name),
        help: `How late the event loop came to what was due, ${name} since this was last asked for.`,
        registers: [registry],
        aggregator,
        // They are asked in their order: the first sets all.
        ...(at === 0 && { collect }),
      }),
  );
}
