import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Machine } from "./machine.ts";
import type { ScenarioReport } from "./scenarios/scenario.ts";

/** Plain text that is also Markdown, to be pasted as it is. */
export function formatReport(machine: Machine, reports: readonly ScenarioReport[]): string {
  const header = [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, TCP ${machine.congestionControl}`,
    `node ${machine.node}`,
    `nats-server ${machine.natsServer}`,
    ...Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`),
    `commit ${machine.commit}`,
    machine.date,
    `load average before ${machine.loadAverage.toFixed(2)}`,
  ].join(" · ");
  const sections = reports.map(({ name, heading, table }) => {
    return `### ${name}\n\n${heading}\n\n${formatTable(table.columns, table.rows)}`;
  });
  return [header, ...sections].join("\n\n");
}

export function writeJson(file: string, machine: Machine, reports: readonly ScenarioReport[]): void {
  const scenarios = Object.fromEntries(reports.map(({ name, data, faults }) => [name, { faults, ...Object(data) }]));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ machine, scenarios }, null, 2)}\n`);
}

function formatTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
  // Names to the left, figures to the right.
  const pad = (cell: string, index: number) =>
    index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(" | ")} |`;
  const rule = widths.map((width, index) => (index === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(columns), line(rule), ...rows.map(line)].join("\n");
}
