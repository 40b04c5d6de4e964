import type { Connection } from "../api/types.ts";
import { routeHash } from "../store/route.ts";
import type { Column } from "../ui/data-table.tsx";
import { bytes, count, dateAndTime } from "../ui/format.ts";

/** `query`: parameters that stay when details are opened. */
export function connectionColumns(query: Readonly<Record<string, string>> = {}): Column<Connection>[] {
  return [
    {
      head: "Address",
      kind: "mono",
      cell: ({ address }) => <a href={routeHash("connections", address, query)}>{address}</a>,
    },
    { head: "Protocol", cell: ({ protocol }) => protocol },
    {
      head: "User",
      cell: ({ user }) => (user === undefined ? "–" : <a href={routeHash("users", user)}>{user}</a>),
    },
    { head: "Topics", kind: "number", cell: topicCount },
    { head: "Unsent", kind: "number", cell: ({ unsentBytes }) => bytes(unsentBytes) },
    { head: "Remote address", kind: "mono", cell: ({ remoteAddress }) => remoteAddress },
    { head: "Opened", cell: ({ openedAt }) => dateAndTime(openedAt) },
  ];
}

function topicCount({ topics, omittedTopics = 0 }: Connection): string {
  return count(topics.length + omittedTopics);
}
