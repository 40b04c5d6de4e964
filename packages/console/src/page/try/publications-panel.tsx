import { type Column, DataTable } from "../ui/data-table.tsx";
import { count, hexadecimal, timeOfDay } from "../ui/format.ts";
import { Panel } from "../ui/panel.tsx";
import type { Received, TrySession } from "./try-session.ts";

const COLUMNS: readonly Column<Received>[] = [
  {
    head: "Time",
    kind: "mono",
    cell: ({ at, recovered }) => (
      <>
        <time>{timeOfDay(at)}</time>
        {recovered && <b class="badge good">recovered</b>}
      </>
    ),
  },
  {
    head: "Topic",
    cell: ({ topic, subscription }) => (
      <>
        {topic ?? <i>no topic</i>}
        {subscription !== undefined && <small>by {subscription}</small>}
      </>
    ),
  },
  { head: "Event", cell: ({ event }) => event },
  { head: "Data", kind: "wide", cell: ({ data }) => (typeof data === "string" ? data : hexadecimal(data)) },
  { head: "Position", kind: "mono", cell: ({ position }) => position ?? "–" },
];

export function PublicationsPanel({ client }: { readonly client: TrySession }) {
  const { publications, receivedCount } = client;
  return (
    <Panel
      class="publications"
      title={
        <>
          Publications <small>{count(receivedCount.value)}</small>
        </>
      }
      aside={
        <button type="button" class="small" onClick={() => client.clear()}>
          Clear
        </button>
      }
    >
      <DataTable
        caption="Received publications"
        columns={COLUMNS}
        rows={publications.value}
        keyOf={({ number }) => String(number)}
        empty="Nothing received yet. Publish something."
      />
    </Panel>
  );
}
