import { printable } from "../io.ts";

export type Column<Row> = {
  readonly title: string;
  readonly isNumber?: boolean;
  cell(row: Row): string;
};

/** Returns the rows as aligned lines under a line of titles, each cut to the width. */
export function drawTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  const cells = rows.map((row) => columns.map(({ cell }) => printable(cell(row))));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)));
  const pad = (text: string, at: number) =>
    columns[at]?.isNumber ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0);
  return [columns.map(({ title }) => title), ...cells].map((line) =>
    line.map(pad).join("  ").trimEnd().slice(0, width),
  );
}

/** Returns a number with its thousands apart; – if it is not known. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en-US");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Returns bytes in the largest fitting unit, as in `12.5 MiB`; – if they are not known. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1_024 ** power;
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[power]}`;
}
