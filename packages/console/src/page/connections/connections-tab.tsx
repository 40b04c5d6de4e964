import type { Connection } from "../api/types.ts";
import { useConsole } from "../store/console.ts";
import { useList } from "../store/use-list.ts";
import { Select } from "../ui/fields.tsx";
import { ListPanel } from "../ui/list-panel.tsx";
import { OrderFilters } from "../ui/order-filters.tsx";
import { SearchField } from "../ui/search-field.tsx";
import { connectionColumns } from "./columns.tsx";
import { ConnectionDetails } from "./connection-details.tsx";

const PROTOCOLS = [
  ["", "all"],
  ["raw", "raw"],
  ["fanwire.v1", "fanwire.v1"],
  ["sse", "SSE"],
  ["pusher", "Pusher"],
] as const;

const ORDERS = [
  ["busiest", "busiest first"],
  ["address", "address"],
] as const;

type Reply = { readonly connections: readonly Connection[]; readonly total?: number };
const read = ({ connections, total }: Reply) => ({ rows: connections, total });

/** The connections of the cluster, and the details of one. */
export function ConnectionsTab() {
  const { router } = useConsole();
  const { name, query } = router.route.value;
  const { search = "", protocol = "", user = "", topic = "", order = "busiest", limit = "50", live = "" } = query;
  const chosen = { search, protocol, user, topic, order, limit };
  const list = useList<Connection>("v1/connections", read, chosen, { isLive: live !== "off" });
  return (
    <div class={name === undefined ? "split" : "split open"}>
      <ListPanel
        title="Connections"
        list={list}
        columns={connectionColumns(query)}
        keyOf={({ address }) => address}
        empty="No connection matches."
        selected={name}
        limit={{ value: limit, onChange: (value) => router.change({ limit: value }) }}
      >
        <div class="row filters">
          <SearchField
            label="Address, user or remote address"
            value={search}
            onSearch={(text) => router.change({ search: text })}
          />
          <SearchField label="User" value={user} onSearch={(text) => router.change({ user: text })} />
          <SearchField label="Topic or pattern" value={topic} onSearch={(text) => router.change({ topic: text })} />
          <Select
            label="Protocol"
            value={protocol}
            options={PROTOCOLS}
            onChange={(value) => router.change({ protocol: value })}
          />
          <OrderFilters order={order} orders={ORDERS} isLive={live !== "off"} />
        </div>
      </ListPanel>
      {name !== undefined && <ConnectionDetails key={name} address={name} onChange={() => void list.load()} />}
    </div>
  );
}
