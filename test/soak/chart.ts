import { type QuantityName, quantities, type Series } from "./sampler.ts";

const WIDTH = 900;
const PANEL = 150;
const PLOT = { left: 70, right: 740, top: 30, height: 100 };
const COLOURS: Readonly<Record<string, string>> = {
  "worker 1": "#0072b2",
  "worker 2": "#56b4e9",
  supervisor: "#999999",
  publisher: "#d55e00",
  "nats-server": "#009e73",
};

/** Draws one panel for each quantity and one line for each process, as SVG. */
export function drawPicture(series: readonly Series[], title: string): string {
  const names = Object.keys(quantities) as QuantityName[]; // what it was made of
  const panels = names.map((name, at) => drawPanel(name, series, 40 + at * PANEL));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${40 + names.length * PANEL}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${PLOT.left}" y="24" font-size="14">${escaped(title)}</text>`,
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function drawPanel(name: QuantityName, all: readonly Series[], top: number): string {
  const own = all.filter(({ quantity, points }) => quantity === name && points.length > 0);
  const points = own.flatMap((each) => each.points);
  const seconds = Math.max(...points.map((point) => point.seconds), 1);
  const highest = Math.max(...points.map(({ value }) => value), 1);
  const { unit, name: title } = quantities[name];
  const bottom = top + PLOT.top + PLOT.height;
  const x = (second: number) => (PLOT.left + (second / seconds) * (PLOT.right - PLOT.left)).toFixed(1);
  const y = (value: number) => (bottom - (value / highest) * PLOT.height).toFixed(1);
  const axis = [0, highest / 2, highest].map(
    (value) =>
      `<path d="M${PLOT.left} ${y(value)}H${PLOT.right}" stroke="#dddddd"/><text x="${PLOT.left - 6}" y="${y(value)}" text-anchor="end" dominant-baseline="middle">${figure(value)}</text>`,
  );
  const lines = own.map((each, at) => {
    const colour = COLOURS[each.part] ?? "#000000";
    const path = each.points.map((point) => `${x(point.seconds)} ${y(point.value)}`).join("L");
    const last = figure(each.points.at(-1)?.value ?? 0);
    return [
      `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="1.2"/>`,
      `<text x="${PLOT.right + 10}" y="${top + PLOT.top + 10 + at * 18}" fill="${colour}">${each.part}: ${last}</text>`,
    ].join("\n");
  });
  return [
    `<text x="${PLOT.left}" y="${top + PLOT.top - 8}" font-weight="bold">${title}${unit && ` (${unit})`}</text>`,
    ...axis,
    ...lines,
    `<text x="${PLOT.right}" y="${bottom + 14}" text-anchor="end">${(seconds / 60).toFixed(1)} min</text>`,
  ].join("\n");
}

export function figure(value: number): string {
  return value.toFixed(Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
