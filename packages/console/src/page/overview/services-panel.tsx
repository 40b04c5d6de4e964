import type { Service } from "../api/types.ts";
import { type Column, DataTable } from "../ui/data-table.tsx";
import { bytes, count, duration, milliseconds, UNKNOWN } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";

const KINDS: Readonly<Record<string, string>> = {
  publisher: "publisher",
  channel: "channel server",
  webhooks: "webhook sender",
};

const COLUMNS: readonly Column<Service>[] = [
  { head: "Service", cell: ({ kind }) => KINDS[kind] ?? kind },
  { head: "Id", kind: "mono", cell: ({ id }) => id },
  { head: "Host", cell: ({ host, pid }) => `${host} · ${pid}` },
  { head: "Version", cell: ({ version }) => version },
  { head: "Uptime", kind: "number", cell: ({ uptimeSeconds }) => duration(uptimeSeconds) },
  { head: "Memory", kind: "number", cell: ({ memory }) => bytes(memory?.residentBytes) },
  { head: "Loop delay", kind: "number", cell: ({ eventLoopDelayMs }) => milliseconds(eventLoopDelayMs) },
  { head: "NATS", cell: ({ nats }) => nats?.name ?? UNKNOWN },
  { head: "Counts", kind: "wide", cell: ({ counts }) => <Counts counts={counts} /> },
];

export function ServicesPanel({ services }: { readonly services: readonly Service[] | undefined }) {
  return (
    <Panel title="Services" aside={<small>publishers, channel servers, webhook senders</small>}>
      {services === undefined ? (
        <Notice kind="info">Unknown: the publisher reports no services.</Notice>
      ) : (
        <DataTable
          caption="Services"
          columns={COLUMNS}
          rows={services}
          keyOf={({ kind, id }) => `${kind}/${id}`}
          empty="No service has answered."
        />
      )}
    </Panel>
  );
}

function Counts({ counts = {} }: { readonly counts: Service["counts"] | undefined }) {
  const texts = Object.entries(counts).map(([name, value]) => `${words(name)} ${count(value)}`);
  return <>{texts.join(", ")}</>;
}

/** Returns the words of a name such as `requestsInFlight`. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
