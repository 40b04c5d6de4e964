import { useConsole } from "../store/console.ts";
import { type Measure, SHOWN_MS } from "../store/samples.ts";
import { Chart } from "../ui/chart.tsx";
import { bytes, count, milliseconds, rate } from "../ui/format.ts";

type Drawn = {
  readonly measure: Measure;
  readonly title: string;
  readonly format: (value: number | null) => string;
  readonly steps: number[];
};

const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();
const BINARY = Array.from({ length: 40 }, (_, power) => 2 ** (power + 6));

const DRAWN: readonly Drawn[] = [
  { measure: "connections", title: "Connections", format: count, steps: WHOLE },
  { measure: "publications", title: "Publications per second", format: rate, steps: WHOLE },
  { measure: "deliveries", title: "Deliveries per second", format: rate, steps: WHOLE },
  { measure: "bytes", title: "Bytes per second", format: bytes, steps: BINARY },
  { measure: "accepted", title: "Accepted connections per second", format: rate, steps: WHOLE },
  { measure: "residentBytes", title: "Memory of workers", format: bytes, steps: BINARY },
  { measure: "eventLoopDelayMs", title: "Longest event-loop delay", format: milliseconds, steps: WHOLE },
  { measure: "lagMs", title: "Longest lag behind the history", format: milliseconds, steps: WHOLE },
];

/** A line for each figure of the cluster. A gap is a time without an answer of all workers. */
export function Charts() {
  const { recorder } = useConsole();
  const samples = recorder.samples.value;
  const times = samples.map(({ at }) => at);
  return (
    <section class="charts" aria-label="The last five minutes">
      {DRAWN.map(({ measure, title, format, steps }) => (
        <Chart
          key={measure}
          title={title}
          latest={format(samples.at(-1)?.[measure] ?? null)}
          times={times}
          values={samples.map((sample) => sample[measure])}
          spanMs={SHOWN_MS}
          format={format}
          steps={steps}
        />
      ))}
    </section>
  );
}
