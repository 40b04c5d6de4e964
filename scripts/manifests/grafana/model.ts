/** The parts of Grafana's dashboard model that the dashboard uses. */
export type Dashboard = {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly schemaVersion: number;
  readonly editable: boolean;
  readonly refresh: string;
  readonly time: { readonly from: string; readonly to: string };
  readonly templating: { readonly list: readonly Variable[] };
  readonly panels: readonly Panel[];
};

type Variable = {
  readonly name: string;
  readonly label: string;
  readonly type: "datasource" | "query";
  readonly query: string;
  readonly datasource?: Datasource;
  readonly multi?: boolean;
  readonly includeAll?: boolean;
  readonly allValue?: string;
  readonly current?: { readonly text: string; readonly value: string };
  readonly refresh?: number;
};

type Datasource = { readonly type: "prometheus"; readonly uid: string };
type GridPos = { readonly x: number; readonly y: number; readonly w: number; readonly h: number };

type Panel = {
  readonly id: number;
  readonly type: "row" | "stat" | "timeseries";
  readonly title: string;
  readonly gridPos: GridPos;
  readonly description?: string;
  readonly datasource?: Datasource;
  readonly targets?: readonly Target[];
  readonly fieldConfig?: unknown;
  readonly options?: unknown;
};

type Target = { readonly refId: string; readonly expr: string; readonly legendFormat: string };

/** One query: its expression, and the name of its series. */
type Query = readonly [expr: string, legend: string];

/** Units as Grafana names them. */
type Unit = "short" | "cps" | "Bps" | "bytes" | "s" | "percentunit";

type Chart = {
  readonly title: string;
  /** A sentence that helps to read the chart. */
  readonly about?: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Value above which, or with `isLow` below which, a single number is shown in red. */
  readonly redAt?: number;
  readonly isLow?: boolean;
};

export type Row = { readonly title: string; readonly kind: "stat" | "timeseries"; readonly charts: readonly Chart[] };

/** The data source that a person chooses, in Grafana's form of a variable. */
export const datasource: Datasource = { type: "prometheus", uid: "$datasource" };

const COLUMNS = 24;
const SIZES = { stat: { w: 3, h: 4 }, timeseries: { w: 8, h: 8 } } as const;

/** Lays rows out from top to bottom, and the charts of a row from left to right. */
export function panelsOf(rows: readonly Row[]): Panel[] {
  const panels: Panel[] = [];
  let y = 0;
  for (const { title, kind, charts } of rows) {
    panels.push({ id: panels.length + 1, type: "row", title, gridPos: { x: 0, y, w: COLUMNS, h: 1 } });
    y++;
    const { w, h } = SIZES[kind];
    const perLine = COLUMNS / w;
    for (const [at, chart] of charts.entries()) {
      const gridPos = { x: (at % perLine) * w, y: y + Math.floor(at / perLine) * h, w, h };
      panels.push(panelOf(chart, kind, panels.length + 1, gridPos));
    }
    y += Math.ceil(charts.length / perLine) * h;
  }
  return panels;
}

function panelOf(chart: Chart, type: "stat" | "timeseries", id: number, gridPos: GridPos): Panel {
  const { title, about, unit, queries } = chart;
  return {
    id,
    type,
    title,
    ...(about !== undefined && { description: about }),
    datasource,
    gridPos,
    targets: queries.map(([expr, legendFormat], at) => ({ refId: String.fromCharCode(65 + at), expr, legendFormat })),
    fieldConfig: { defaults: { unit, min: 0, ...(type === "stat" ? colours(chart) : LINES) }, overrides: [] },
    options: type === "stat" ? STAT : TIMESERIES,
  };
}

const LINES = { custom: { drawStyle: "line", lineWidth: 1, fillOpacity: 10, showPoints: "never", spanNulls: false } };
const STAT = { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "value", graphMode: "area" };
const TIMESERIES = {
  legend: { displayMode: "list", placement: "bottom", showLegend: true },
  tooltip: { mode: "multi", sort: "desc" },
};

function colours({ redAt, isLow = false }: Chart) {
  if (redAt === undefined) return {};
  const [below, above] = isLow ? ["red", "green"] : ["green", "red"];
  const steps = [
    { color: below, value: null },
    { color: above, value: redAt },
  ];
  return { thresholds: { mode: "absolute", steps } };
}
