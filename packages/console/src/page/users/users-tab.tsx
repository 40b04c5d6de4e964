import type { Totals, UserCount } from "../api/types.ts";
import { useConsole } from "../store/console.ts";
import { routeHash } from "../store/route.ts";
import { useList } from "../store/use-list.ts";
import type { Column } from "../ui/data-table.tsx";
import { count } from "../ui/format.ts";
import { ListPanel } from "../ui/list-panel.tsx";
import { OrderFilters } from "../ui/order-filters.tsx";
import { SearchField } from "../ui/search-field.tsx";
import { UserDetails } from "./user-details.tsx";

const ORDERS = [
  ["busiest", "most connections"],
  ["name", "name"],
] as const;

type Reply = Totals & { readonly users: readonly UserCount[] };
const read = ({ users, ...totals }: Reply) => ({ ...totals, rows: users });

function columns(query: Readonly<Record<string, string>>): Column<UserCount>[] {
  return [
    { head: "User", kind: "wide", cell: ({ user }) => <a href={routeHash("users", user, query)}>{user}</a> },
    {
      head: "Connections",
      kind: "number",
      cell: ({ connections }) => count(connections),
    },
  ];
}

/** The users with open connections, and the details of one. */
export function UsersTab() {
  const { router } = useConsole();
  const { name, query } = router.route.value;
  const { search = "", order = "busiest", limit = "50", live = "" } = query;
  const list = useList<UserCount>("v1/users", read, { search, order, limit }, { isLive: live !== "off" });
  return (
    <div class={name === undefined ? "split" : "split open"}>
      <ListPanel
        title="Users"
        list={list}
        columns={columns(query)}
        keyOf={({ user }) => user}
        empty="No user matches. Connections have a user if their token has one."
        selected={name}
        limit={{ value: limit, onChange: (value) => router.change({ limit: value }) }}
      >
        <div class="row filters">
          <SearchField label="Part of the name" value={search} onSearch={(text) => router.change({ search: text })} />
          <OrderFilters order={order} orders={ORDERS} isLive={live !== "off"} />
        </div>
      </ListPanel>
      {name !== undefined && <UserDetails key={name} user={name} onChange={() => void list.load()} />}
    </div>
  );
}
