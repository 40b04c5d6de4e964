import type { Worker } from "../api/types.ts";
import { lagOf } from "../store/samples.ts";
import { type Column, DataTable } from "../ui/data-table.tsx";
import { bytes, count, duration, milliseconds, rate, UNKNOWN } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";

const COLUMNS: readonly Column<Worker>[] = [
  { head: "Worker", kind: "mono", cell: ({ id }) => id },
  { head: "Host", cell: ({ host, pid }) => `${host} · ${pid}` },
  { head: "Version", cell: ({ version }) => version },
  { head: "Uptime", kind: "number", cell: ({ uptimeSeconds }) => duration(uptimeSeconds) },
  { head: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
  { head: "Users", kind: "number", cell: ({ users }) => count(users) },
  { head: "Topics", kind: "number", cell: ({ topics }) => count(topics) },
  { head: "Publications/s", kind: "number", cell: ({ rates }) => rate(rates.publicationsPerSecond) },
  { head: "Deliveries/s", kind: "number", cell: ({ rates }) => rate(rates.deliveriesPerSecond) },
  { head: "Memory", kind: "number", cell: ({ memory }) => bytes(memory?.residentBytes) },
  { head: "Loop delay", kind: "number", cell: ({ eventLoopDelayMs }) => milliseconds(eventLoopDelayMs) },
  { head: "Unsent", kind: "number", cell: ({ unsentBytes }) => bytes(unsentBytes) },
  { head: "History", cell: (worker) => historyOf(worker) },
  { head: "NATS", cell: ({ nats }) => nats?.name ?? UNKNOWN },
];

export function WorkersPanel({ workers }: { readonly workers: readonly Worker[] }) {
  return (
    <Panel title="Workers" aside={<small>processes of pushers, which hold the connections</small>}>
      <DataTable
        caption="Workers"
        columns={COLUMNS}
        rows={workers}
        keyOf={({ id }) => id}
        empty="No worker has answered."
      />
    </Panel>
  );
}

/** How far the worker has processed the history. */
function historyOf(worker: Worker): string {
  const { history } = worker;
  if (history === undefined) return UNKNOWN;
  if (history.isCurrent) return "current";
  const lag = lagOf(worker);
  if (history.position === null) return "no history";
  return lag === undefined ? "behind" : `${milliseconds(lag)} behind`;
}
