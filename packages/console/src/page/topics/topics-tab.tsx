import type { TopicCount, Totals } from "../api/types.ts";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { useList } from "../store/use-list.ts";
import type { Column } from "../ui/data-table.tsx";
import { count } from "../ui/format.ts";
import { ListPanel } from "../ui/list-panel.tsx";
import { OrderFilters } from "../ui/order-filters.tsx";
import { SearchField } from "../ui/search-field.tsx";
import { TopicDetails } from "./topic-details.tsx";

const ORDERS = [
  ["busiest", "most connections"],
  ["name", "name"],
] as const;

type Reply = Totals & { readonly topics: readonly TopicCount[] };
const read = ({ topics, ...totals }: Reply) => ({ ...totals, rows: topics });

function columns(query: Readonly<Record<string, string>>): Column<TopicCount>[] {
  return [
    { head: "Topic", kind: "wide", cell: ({ topic }) => <a href={routeHash("topics", topic, query)}>{topic}</a> },
    { head: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
  ];
}

/** The topics that have subscribers, and the details of one. */
export function TopicsTab() {
  const { router } = useConsole();
  const { name, query } = router.route.value;
  const { prefix = "", search = "", order = "busiest", limit = "50", live = "" } = query;
  const list = useList<TopicCount>("v1/topics", read, { prefix, search, order, limit }, { isLive: live !== "off" });
  return (
    <div class={name === undefined ? "split" : "split open"}>
      <ListPanel
        title="Topics"
        list={list}
        columns={columns(query)}
        keyOf={({ topic }) => topic}
        empty="No topic with a subscriber matches. Subscriptions to patterns occupy no topic."
        selected={name}
        limit={{ value: limit, onChange: (value) => router.change({ limit: value }) }}
      >
        <div class="row filters">
          <SearchField label="Part of the name" value={search} onSearch={(text) => router.change({ search: text })} />
          <SearchField
            label="Beginning of the name"
            value={prefix}
            onSearch={(text) => router.change({ prefix: text })}
          />
          <OrderFilters order={order} orders={ORDERS} isLive={live !== "off"} />
        </div>
      </ListPanel>
      {name !== undefined && <TopicDetails key={name} topic={name} />}
    </div>
  );
}
