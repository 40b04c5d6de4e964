import type { NatsNode } from "../api/types.ts";
import { type Column, DataTable } from "../ui/data-table.tsx";
import { count, UNKNOWN } from "../ui/format.ts";
import { Notice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";

const COLUMNS: readonly Column<NatsNode>[] = [
  { head: "Node", cell: ({ name }) => name },
  { head: "Version", cell: ({ version }) => version ?? UNKNOWN },
  { head: "Cluster", cell: ({ cluster }) => cluster ?? "–" },
  { head: "Our processes", kind: "number", cell: ({ connectedFrom }) => count(connectedFrom) },
];

export function NatsPanel({ nodes }: { readonly nodes: readonly NatsNode[] | undefined }) {
  return (
    <Panel title="NATS" aside={<small>nodes that our processes use</small>}>
      {nodes === undefined ? (
        <Notice kind="info">Unknown: the publisher reports no NATS nodes.</Notice>
      ) : (
        <DataTable
          caption="NATS nodes"
          columns={COLUMNS}
          rows={nodes}
          keyOf={({ name }) => name}
          empty="No node is known."
        />
      )}
    </Panel>
  );
}
