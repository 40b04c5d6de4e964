import type { Members, Topic } from "../api/types.ts";
import { PublishForm } from "../publish/publish-form.tsx";
import { routeHash } from "../store/route.ts";
import { useList } from "../store/use-list.ts";
import { useResource } from "../store/use-resource.ts";
import type { Column } from "../ui/data-table.tsx";
import { Details } from "../ui/details.tsx";
import { type Fact, Facts } from "../ui/facts.tsx";
import { count } from "../ui/format.ts";
import { ListPanel } from "../ui/list-panel.tsx";
import { FailureNotice, GapsNotice } from "../ui/notice.tsx";
import { Panel } from "../ui/panel.tsx";
import { TopicHistory } from "./topic-history.tsx";

type Member = Members["members"][number];

const QUERY = { limit: 50 };
const read = ({ members, count: total }: Members) => ({ rows: members, total });
const COLUMNS: readonly Column<Member>[] = [
  { head: "User", cell: ({ user }) => <a href={routeHash("users", user)}>{user}</a> },
  { head: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
  { head: "Info", kind: "wide", cell: ({ info }) => (info === undefined ? "–" : <code>{JSON.stringify(info)}</code>) },
];

export function TopicDetails({ topic }: { readonly topic: string }) {
  const path = `v1/topics/${encodeURIComponent(topic)}`;
  const { value: found, failure } = useResource<Topic>(path);
  const members = useList<Member>(`${path}/members`, read, QUERY);
  return (
    <Details label={`Topic ${topic}`}>
      <Panel title={<code>{topic}</code>} aside={<a href={routeHash("trace", undefined, { topic })}>Trace</a>}>
        <FailureNotice failure={failure} isStale={found !== undefined} />
        <GapsNotice missing={found?.missing} complete={found?.complete} />
        {found && <Facts facts={factsOf(found)} />}
      </Panel>
      <Panel title="Publish to this topic">
        <PublishForm target={{ kind: "topic", name: topic }} />
      </Panel>
      <TopicHistory path={`${path}/publications`} />
      <ListPanel
        title="Members"
        list={members}
        columns={COLUMNS}
        keyOf={({ user }) => user}
        empty="No user has joined the topic with presence."
      />
    </Details>
  );
}

function factsOf({ topic, connections, members, missing, complete }: Topic): Fact[] {
  const atLeast = missing !== undefined || complete === false ? "≥ " : "";
  return [
    [
      "Reaches",
      `${atLeast}${count(connections)} ${connections === 1 ? "connection" : "connections"}, patterns included`,
    ],
    ["Members", `${atLeast}${count(members)}`],
    ["Subscribed", <a href={routeHash("connections", undefined, { topic })}>connections with exactly this topic</a>],
  ];
}
