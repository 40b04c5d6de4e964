import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";

const HEIGHT = 110;
const MIN_SECONDS = 60;

type ChartProps = {
  readonly title: string;
  /** Text of the newest value. */
  readonly latest: string;
  /** Unix milliseconds. */
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly spanMs: number;
  readonly format: (value: number) => string;
  /** Distances between the lines of the grid. */
  readonly steps: number[];
};

/** A line over the last minutes. The text beside the title has the newest value, for people who do not see the line. */
export function Chart({ title, latest, times, values, spanMs, format, steps }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const id = useId();

  useEffect(() => {
    const { current: element } = holder;
    if (element === null) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element, { spanMs, format, steps }), [[], []], element);
    };
    draw();
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", draw);
      plot.current?.destroy();
    };
  }, [spanMs, format, steps]);

  useEffect(() => {
    plot.current?.setData([times.map((at) => at / 1_000), [...values]]);
  });

  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption id={id}>
        {title} <b>{latest}</b>
      </figcaption>
      <div ref={holder} class="plot" aria-hidden="true" />
    </figure>
  );
}

/** A canvas has no style sheet, so the colours of the page are read. */
function optionsFor(
  element: HTMLElement,
  { spanMs, format, steps }: Pick<ChartProps, "spanMs" | "format" | "steps">,
): uPlot.Options {
  const style = getComputedStyle(element);
  const [line, dim, accent] = ["--line", "--dim", "--accent"].map((name) => style.getPropertyValue(name).trim());
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: dim ?? "", font, grid: { stroke: line ?? "", width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: ({ data }) => shownTimes(data[0][0], spanMs) },
      // The first line of the grid is always visible, so that a quiet cluster shows no fractions.
      y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1 || 0, steps[0] ?? 1)] },
    },
    axes: [
      { ...axis, size: 22, space: 58, incrs: [15, 30, 60, 120], values: timesOf },
      { ...axis, size: 62, space: 28, incrs: steps, values: (_plot, values) => values.map(format) },
    ],
    series: [{}, { stroke: accent ?? "", width: 1.5, points: { show: false }, spanGaps: false }],
  };
}

/** The line fills the chart soon: it shows at least a minute, and at most the whole span. */
function shownTimes(first: number | undefined, spanMs: number): [from: number, to: number] {
  const now = Date.now() / 1_000;
  const age = now - (first ?? now);
  return [now - Math.min(Math.max(age, MIN_SECONDS), spanMs / 1_000), now];
}

function timesOf(_plot: uPlot, seconds: readonly number[], _axis: number, _space: number, step: number): string[] {
  return seconds.map((at) => new Date(at * 1_000).toLocaleTimeString("en-GB").slice(0, step < 60 ? 8 : 5));
}
